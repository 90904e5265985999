"""Use cases: one verb a module. They know the domain and the Protocols in ports.py, nothing else."""

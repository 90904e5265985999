"""The long-running processes: what they do before, while and after they run."""

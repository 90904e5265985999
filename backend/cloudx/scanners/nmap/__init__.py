"""nmap: command line, progress, XML."""

"""zmap: command line, progress, rows."""

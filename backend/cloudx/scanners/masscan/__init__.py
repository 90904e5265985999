"""masscan: command line, progress, records."""

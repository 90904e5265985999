"""Cloud-X: scans networks from a fleet of VPSes and accounts for every probe."""

__version__ = "0.1.0"

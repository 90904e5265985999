"""The results of a scan as nmap's XML, by its DTD, whichever tool ran it."""

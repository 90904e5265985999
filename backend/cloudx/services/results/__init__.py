"""What a scan found, as it is shown within the scan itself."""

"""How a scan is cut into chunks, and cut again near its end."""

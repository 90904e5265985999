"""How a scan is cut into chunks, and how chunks are split near its end."""

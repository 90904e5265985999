"""What operators ask: why a scan waits, and how much of the nodes' rate is used."""

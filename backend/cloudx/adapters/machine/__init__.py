"""The machine this process runs on, and the network as seen from it."""

"""What stays open: the stream of events."""

"""What the runs of every tool share."""

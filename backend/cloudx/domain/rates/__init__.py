"""How a scan's rate is shared among the workers that send."""

"""Events, in the order in which their transactions are known to be over."""

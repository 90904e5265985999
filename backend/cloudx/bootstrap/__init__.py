"""The composition root: the only place that wires adapters and scanners into services; a module a process."""

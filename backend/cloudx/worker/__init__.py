"""The worker: a plain process that claims chunks, runs scanners and commits what they found."""

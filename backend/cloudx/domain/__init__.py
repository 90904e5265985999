"""The rules of scanning: pure standard library, immutable, no I/O."""

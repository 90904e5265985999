"""Benchmarks: each prints JSON lines, one a figure, beside what it is compared with."""

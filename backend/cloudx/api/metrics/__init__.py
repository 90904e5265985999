"""Prometheus metrics, right across gunicorn's workers: each writes its own files, and a scrape adds them up.

docs/metrics.md tells what question each answers.
"""

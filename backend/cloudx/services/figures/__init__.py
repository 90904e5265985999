"""Figures for operators: read in rounds, by one process of each instance of the API, and never for a request."""

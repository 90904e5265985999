"""Requests and answers as pydantic models, one module for each resource; those of answers are for the docs."""

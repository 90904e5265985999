"""Engines, drivers and what their failures mean."""

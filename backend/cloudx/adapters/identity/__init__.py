"""Signed tokens: who made them and for whom they stand."""

"""Signed tokens: their issuers, and the principals they stand for."""

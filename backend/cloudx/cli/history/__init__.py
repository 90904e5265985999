"""Commands that tell what was done, and who did it."""

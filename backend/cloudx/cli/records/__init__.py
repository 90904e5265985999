"""Records that are listed, added and removed: lists of targets, schedules, and what policy is made of."""

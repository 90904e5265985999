"""Named lists and schedules: what is scanned again and again."""

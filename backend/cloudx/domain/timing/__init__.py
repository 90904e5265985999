"""When things run: pauses, allowed hours, schedules."""

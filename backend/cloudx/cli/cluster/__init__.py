"""The commands `cloudx cluster …`."""

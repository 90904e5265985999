"""The command line: everything a person does by hand, through the API."""

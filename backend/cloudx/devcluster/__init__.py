"""The production shape on one machine: the servers, the jobs and their clean end."""

"""What the services need from the database, as Protocols and records."""

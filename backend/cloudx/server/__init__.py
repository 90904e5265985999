"""gunicorn: its configuration, its worker class and the WSGI application."""

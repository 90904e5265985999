"""The application that gunicorn serves: `cloudx.server.wsgi:app`."""

from cloudx.api.app import create_app
from cloudx.bootstrap.api import api_dependencies
from cloudx.config import load_settings

app = create_app(api_dependencies(load_settings()))

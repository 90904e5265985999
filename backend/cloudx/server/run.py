"""`python -P -m cloudx.server.run`: gunicorn with our configuration, which runs no module of the current folder.

gunicorn's own start puts that folder in front of sys.path, even under -P: a json.py there would run, as root.
"""

from __future__ import annotations

import sys
from pathlib import Path

from gunicorn.app.wsgiapp import WSGIApplication

CONFIGURATION = Path(__file__).with_name("gunicorn_conf.py")


class Server(WSGIApplication):  # type: ignore[misc]
    """gunicorn's own, which stays where it is."""

    def chdir(self) -> None:
        """Neither changes the folder nor touches sys.path."""


def main() -> None:
    """Serve until told to stop."""
    sys.argv = ["gunicorn", "--config", str(CONFIGURATION), "cloudx.server.wsgi:app"]
    Server().run()


if __name__ == "__main__":
    main()

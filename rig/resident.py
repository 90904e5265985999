"""The fleet without Nomad: a worker on each VPS; they share PostgreSQL and send heartbeats to an API."""

from __future__ import annotations

import secrets

from typing_extensions import override

from .api import Api
from .environment import CLOUDX, plain_environment
from .layout import API_PORT, STORE, ip_of
from .postgres import KEY as POSTGRES_KEY
from .postgres import Postgres
from .processes import Launch
from .rig import Rig

API_KEY = f"{STORE}.api"
URL = f"http://{ip_of(STORE)}:{API_PORT}"


def worker_key(machine: str) -> str:
    """The key of a machine's worker."""
    return f"{machine}.worker"


class ResidentRig(Rig):
    """`settings` go to the API and to the workers."""

    kind = "resident"

    def __init__(self, vpses: int, settings: dict[str, str] | None = None, **options: object) -> None:
        super().__init__(vpses, **options)  # type: ignore[arg-type]
        self._settings = settings or {}
        self._admin_token = f"cx_{secrets.token_urlsafe(24)}"
        self._node_token = f"cx_{secrets.token_urlsafe(24)}"

    @property
    @override
    def api(self) -> Api:
        return Api(URL, self._admin_token)

    @property
    @override
    def shell(self) -> dict[str, str]:
        return {"CLOUDX_URL": URL, "CLOUDX_TOKEN": self._admin_token}

    @override
    def start_fleet(self) -> None:
        database = Postgres(self.folder)
        database.initialise()
        self.launch(database.launch())
        self.wait("PostgreSQL", database.is_ready, key=POSTGRES_KEY)
        database.create_database()
        self.launch(self._api_launch(database))
        self.wait("the API", self.api.is_ready, key=API_KEY)
        for machine in self.vpses:
            self.launch(self._worker_launch(database, machine))
        self.wait("healthy VPSes", self.is_healthy)

    def is_healthy(self) -> bool:
        """True if the API shows every VPS as healthy."""
        nodes = self.api.nodes()
        return all(nodes.get(machine) == "healthy" for machine in self.vpses)

    def _api_launch(self, database: Postgres) -> Launch:
        settings = {
            "DATABASE_URL": database.url,
            "CLOUDX_BIND": ip_of(STORE),
            "PORT": str(API_PORT),
            "CLOUDX_ADMIN_TOKEN": self._admin_token,
            "CLOUDX_NODE_TOKEN": self._node_token,
            "CLOUDX_DATA_DIR": str(self.folder.disk_of(STORE) / "api"),
        }
        return Launch(STORE, "api", [CLOUDX, "serve"], plain_environment(**settings, **self._settings))

    def _worker_launch(self, database: Postgres, machine: str) -> Launch:
        settings = {
            "DATABASE_URL": database.url,
            "NODE_ID": machine,
            "PRIMARY_NODE_URL": URL,
            "CLOUDX_NODE_TOKEN": self._node_token,
            "CLOUDX_DATA_DIR": str(self.folder.disk_of(machine) / "data"),
        }
        return Launch(machine, "worker", [CLOUDX, "worker"], plain_environment(**settings, **self._settings))

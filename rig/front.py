"""The front Fabio, beside a Consul server, as on a machine that takes people's requests and runs no scan.

jobs/fabio runs on each VPS too, for the VPS's own use; if that VPS fails, people who came in by it are cut off.
"""

from __future__ import annotations

from pathlib import Path

from cloudx.private_files import write_private

from .environment import plain_environment
from .layout import FABIO_PAGE_PORT, FABIO_PORT, SERVERS, RigFolder, ip_of
from .processes import Launch
from .tokens import Tokens

MACHINE = SERVERS[0]
KEY = f"{MACHINE}.front"
URL = f"http://{ip_of(MACHINE)}:{FABIO_PORT}"
PAGE = f"http://{ip_of(MACHINE)}:{FABIO_PAGE_PORT}"


def options() -> dict[str, str]:
    """The options of jobs/fabio.nomad.hcl, for this machine."""
    return {
        "proxy.addr": f"{ip_of(MACHINE)}:{FABIO_PORT}",
        "ui.addr": f"{ip_of(MACHINE)}:{FABIO_PAGE_PORT}",
        "ui.access": "ro",
        "registry.consul.addr": "127.0.0.1:8500",
        "registry.consul.register.enabled": "false",
        "registry.consul.checksRequired": "all",
        "registry.consul.kvpath": "/fabio/config",
        "proxy.shutdownwait": "1s",
        "proxy.keepalivetimeout": "15s",
        "proxy.noroutestatus": "503",
        "proxy.dialtimeout": "1s",
        "proxy.responseheadertimeout": "8s",
        "log.level": "WARN",
    }


def launch(folder: RigFolder, program: Path, tokens: Tokens) -> Launch:
    """Fabio with the options and the rights of jobs/fabio.nomad.hcl."""
    token_file = folder.path / "front-token"
    write_private(token_file, tokens.front)
    command = [str(program), *(f"-{name}={value}" for name, value in options().items())]
    return Launch(MACHINE, "front", command, plain_environment(CONSUL_HTTP_TOKEN_FILE=str(token_file)))

"""Every name, address, port and folder of the rig.

cxsrv0 10.66.0.3        cxsrv1…3 10.66.0.11…13     cxvps1…N 10.66.0.101…         cxtgt 10.66.0.2
PostgreSQL, Vault,      Nomad's and Consul's       a Nomad and a Consul client,  answers on all of 10.77.0.0/16;
the resident's API      servers, the front Fabio   or a resident worker          the VPSes' default gateway
      └───────────────────────┴──── bridge cxbr0, 10.66.0.1 ────┴──────────────────────┘
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).parent.parent
MACHINE_LOCK = Path("/tmp/cloudx-rig.lock")  # one rig at a time: its names and addresses are machine-wide

BRIDGE = "cxbr0"
BRIDGE_IP = "10.66.0.1"
CONTROL_NETWORK = "10.66.0.0/24"
TARGET_NETWORK = "10.77.0.0/16"

TARGET = "cxtgt"
STORE = "cxsrv0"
SERVERS = ("cxsrv1", "cxsrv2", "cxsrv3")
MAX_VPSES = 100
NAME = re.compile(r"cx(vps\d+|srv\d|tgt)")

POSTGRES_PORT, API_PORT, VAULT_PORT = 5432, 5001, 8200
NOMAD_PORT, CONSUL_PORT, FABIO_PORT, FABIO_PAGE_PORT = 4646, 8500, 9999, 9998
DATABASE = "cloudx"


def vps(number: int) -> str:
    """The name of a VPS; numbers start at 1."""
    return f"cxvps{number}"


def ip_of(machine: str) -> str:
    """A machine's address on the bridge."""
    if machine == TARGET:
        return "10.66.0.2"
    kind, number = machine[:5], int(machine[5:])
    if kind == "cxvps":
        return f"10.66.0.{100 + number}"
    return "10.66.0.3" if number == 0 else f"10.66.0.{10 + number}"


def mac_of(machine: str) -> str:
    """A machine's fixed MAC address, so that its neighbours know it at once after it is made again."""
    return "02:66:" + ":".join(f"{int(part):02x}" for part in ip_of(machine).split("."))


@dataclass(frozen=True)
class RigFolder:
    """The files of the rig, mode 0700; they live as long as the rig."""

    path: Path = CHECKOUT / ".rig"
    machines: Path = Path("/run/cloudx-rig")  # a folder for each machine; Nomad's sockets need short paths

    @property
    def env(self) -> Path:
        """The file that a shell sources."""
        return self.path / "env"

    @property
    def logs(self) -> Path:
        """A log file for each process."""
        return self.path / "logs"

    @property
    def launches(self) -> Path:
        """How each process was started, so that it can be started again."""
        return self.path / "launches"

    def disk_of(self, machine: str) -> Path:
        """The folder of a machine's data; on a VPS a small file system of its own."""
        return self.machines / machine

    def make(self) -> None:
        """Make the folders, closed to other users."""
        for folder in (self.path, self.logs, self.launches, self.machines):
            folder.mkdir(mode=0o700, exist_ok=True)

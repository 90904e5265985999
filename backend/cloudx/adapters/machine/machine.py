"""The machine a worker runs on: what it can do, what is wrong with it, and how packets leave it."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess

from typing_extensions import override

from cloudx.domain.addresses import AddressSet
from cloudx.domain.errors import CloudxError
from cloudx.domain.nodes import RAW_SOCKET, Check, CheckStatus, Preflight
from cloudx.domain.proof.sending import ProbeFrames
from cloudx.domain.reach import Reach
from cloudx.domain.tools import Tool
from cloudx.services.chunks.scanner_port import Machine, SendWatch, Way

from .egress import default_interface, ways_to
from .interface_offloads import offloads_on, remedy_for
from .routes import read_reach
from .send_watch import KernelSendWatch
from .source_address import source_for

# Debian keeps zmap in sbin, which is not on every user's PATH.
_SEARCHED = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_VERSION = re.compile(rb"\d+\.\d+(?:\.\d+)*")
# The oldest versions whose options and output scanners/ knows.
_OLDEST = {Tool.NMAP: (7, 80), Tool.MASSCAN: (1, 3), Tool.ZMAP: (2, 1)}


class LocalMachine(Machine):
    """This machine, by its tools, its raw sockets and the interface of its default route."""

    @override
    def preflight(self) -> Preflight:
        versions = {tool.value: version for tool in Tool if (version := _version_of(tool)) is not None}
        raw_socket_error = _raw_socket_error()
        interface, problem = _default_route()
        has_offloads = interface is not None and offloads_on(interface)
        return Preflight(
            capabilities=(*_usable(versions), *([RAW_SOCKET] if raw_socket_error is None else [])),
            checks=(
                *(_tool_check(tool, versions.get(tool.value)) for tool in Tool),
                _raw_socket_check(raw_socket_error),
                _offloads_check(interface, has_offloads, problem),
            ),
            tool_versions=versions,
            offloads_on=has_offloads,
            interface=interface,
            reach=_reach(),
        )

    @override
    def ways_to(self, addresses: AddressSet) -> list[Way]:
        return ways_to(addresses)

    @override
    def source_for(self, addresses: AddressSet) -> str | None:
        return source_for(addresses)

    @override
    def watch_sending(self, interface: str, frames: ProbeFrames) -> SendWatch:
        return KernelSendWatch(interface, frames)


def _version_of(tool: Tool) -> str | None:
    """Its version, or None when it is missing or does not run."""
    path = shutil.which(tool.value, path=_SEARCHED)
    if path is None:
        return None
    try:
        # masscan --version ends with exit code 1.
        done = subprocess.run(
            [path, "--version"], capture_output=True, timeout=10, stdin=subprocess.DEVNULL, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    version = _VERSION.search(done.stdout + done.stderr)
    return version[0].decode() if version else None


def _usable(versions: dict[str, str]) -> list[str]:
    return [tool.value for tool in Tool if tool.value in versions and not _is_too_old(tool, versions[tool.value])]


def _is_too_old(tool: Tool, version: str) -> bool:
    return tuple(int(part) for part in version.split(".")) < _OLDEST[tool]


def _raw_socket_error() -> str | None:
    """Open what the scanners open; None when that works."""
    try:
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close()
        socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW).close()
    except OSError as error:
        return error.strerror or str(error)
    return None


def _default_route() -> tuple[str | None, str]:
    """The interface of the default route, or why there is none."""
    try:
        return default_interface(), "there is no default route: masscan and zmap can send only where a route leads"
    except CloudxError as error:
        return None, f"masscan and zmap cannot be told the way out: {error.message}"
    except OSError as error:
        return None, f"masscan and zmap cannot be told the way out: {error}"


def _reach() -> Reach | None:
    try:
        return read_reach()
    except (CloudxError, OSError, ValueError):
        return None  # the check of the interface says what is wrong with `ip`


def _tool_check(tool: Tool, version: str | None) -> Check:
    if version is not None and _is_too_old(tool, version):
        oldest = ".".join(map(str, _OLDEST[tool]))
        remedy = f"{tool} {version} is too old: {oldest} or later is needed; upgrade it with `apt-get install {tool}`"
        return Check(f"tool-{tool}", f"{tool} installed", CheckStatus.WARNING, remedy)
    if version is not None:
        return Check(f"tool-{tool}", f"{tool} installed", CheckStatus.PASSING, f"{tool} {version}")
    remedy = f"{tool} is missing or does not start; install it with `apt-get install {tool}` and restart the worker"
    return Check(f"tool-{tool}", f"{tool} installed", CheckStatus.WARNING, remedy)


def _raw_socket_check(error: str | None) -> Check:
    if error is None:
        return Check("raw-socket", "raw sockets", CheckStatus.PASSING, "raw sockets open")
    remedy = (
        f"a raw socket does not open ({error}): masscan, zmap and UDP scans are not run here, nmap falls back to "
        "connect(). Run the worker as root or with CAP_NET_RAW"
    )
    return Check("raw-socket", "raw sockets", CheckStatus.WARNING, remedy)


def _offloads_check(interface: str | None, on: bool, problem: str) -> Check:
    if interface is None:
        return Check("offloads", "interface offloads", CheckStatus.WARNING, problem)
    if not on:
        return Check("offloads", "interface offloads", CheckStatus.PASSING, f"{interface}: all off")
    remedy = (
        f"{interface} has segmentation offloads on, which makes masscan lose replies (it sends each probe twice to "
        f"make up for it). Turn them off with `{remedy_for(interface)}` and restart the worker"
    )
    return Check("offloads", "interface offloads", CheckStatus.WARNING, remedy)

"""nmap's XML into findings: streamed, so that a file of any size takes the memory of one host."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

from lxml import etree

from cloudx.domain.findings import AnyFinding, Finding, HostFinding

from .repair import repaired_hosts
from .shut_ports import shut_ports

# Closed and filtered ports are what a scan mostly meets: the coverage proof counts them, rows do not.
_KEPT_STATES = frozenset({"open", "open|filtered"})
_MAX_TEXT = 200
_MAX_SCRIPT_TEXT = 4000
_MAX_SCRIPTS = 30
# `conf` is how sure nmap is of it, 0-10.
_VERSION_FIELDS = ("product", "version", "extrainfo", "tunnel", "ostype", "conf")


def read_findings(file: Path, *, with_shut: bool = False) -> Iterator[AnyFinding]:
    """Each host that is up, followed by its open ports; of a file that was cut short the hosts that are whole.

    `with_shut`: its closed and filtered ports too.

    Where the XML is not well formed (a service's control byte, bad UTF-8, tables too deep), only that text is lost.
    """
    hosts = etree.iterparse(
        str(file), events=("end",), tag="host", resolve_entities=False, no_network=True, huge_tree=False, load_dtd=False
    )
    count = 0
    try:
        for _, element in hosts:
            yield from _findings_of(element, with_shut)
            _forget(element)
            count += 1
    except etree.XMLSyntaxError:
        for element in islice(repaired_hosts(file), count, None):
            yield from _findings_of(element, with_shut)


def _forget(element: etree._Element) -> None:
    """Free a host and everything before it (host hints, task progress)."""
    element.clear()
    parent = element.getparent()
    while parent is not None and element.getprevious() is not None:
        del parent[0]


def _findings_of(host: etree._Element, with_shut: bool) -> Iterator[AnyFinding]:
    parts: dict[Any, etree._Element] = {}
    ip = ""
    extra: dict[str, Any] = {}
    for part in host:
        if part.tag != "address":
            parts[part.tag] = part
        elif part.get("addrtype") == "mac":
            extra = {"mac": part.get("addr"), "vendor": part.get("vendor")}
        else:
            ip = part.get("addr", "")
    reason = _reason_it_is_up(parts.get("status"))
    if reason is None:
        return
    observed_at = _time(host.get("endtime") or host.get("starttime") or "0")
    hostname = _hostname(parts.get("hostnames"))
    ports = parts.get("ports")
    open_ports = _findings(ports, ip, hostname, observed_at) if ports is not None else []
    # With -Pn nmap calls every address up, even one that sent nothing.
    heard = bool(open_ports) or reason != "user-set" or _has_closed_ports(ports)
    os_name = _operating_system(parts.get("os"), extra)
    if "hostscript" in parts:
        extra["scripts"] = dict(map(_script, parts["hostscript"]))
    extra["reason"] = reason
    known = {name: value for name, value in extra.items() if value}
    yield HostFinding(ip, "up" if heard else "unknown", observed_at, hostname, os_name, known)
    yield from open_ports
    if with_shut and ports is not None:
        yield from shut_ports(ports, ip, hostname, observed_at)


@lru_cache(maxsize=64)
def _time(seconds: str) -> datetime:
    return datetime.fromtimestamp(int(seconds), UTC)


def _reason_it_is_up(status: etree._Element | None) -> str | None:
    return status.get("reason", "") if status is not None and status.get("state") == "up" else None


def _operating_system(os: etree._Element | None, extra: dict[str, Any]) -> str | None:
    """The best guess; how sure nmap is of it goes into `extra`."""
    match = os.find("osmatch") if os is not None else None
    if match is None:
        return None
    extra["os_accuracy"] = match.get("accuracy")
    return match.get("name", "")[:_MAX_TEXT]


def _has_closed_ports(ports: etree._Element | None) -> bool:
    if ports is None:
        return False
    groups = (group.get("state") for group in ports.iterchildren("extraports"))
    return "closed" in groups or any(state.get("state") == "closed" for state in ports.iterfind("port/state"))


def _findings(ports: etree._Element, ip: str, hostname: str | None, observed_at: datetime) -> list[Finding]:
    """One flat walk in nmap's order (port: state, service: cpe, scripts): this is where the time goes."""
    kept: list[_OpenPort] = []
    port = last = None
    for element in ports.iter("port", "state", "service", "cpe", "script"):
        tag = element.tag
        if tag == "port":
            port, last = element, None
        elif tag == "state":
            state = element.get("state", "")
            if port is not None and state in _KEPT_STATES:
                last = _OpenPort(port, state, element.get("reason"))
                kept.append(last)
        elif last is not None:
            last.note(tag, element)
    return [Finding(ip, p.protocol, p.number, p.state, observed_at, p.service, hostname, p.extra) for p in kept]


class _OpenPort:
    """One port while its parts are read; every text is cut, since a hostile target may say megabytes."""

    __slots__ = ("extra", "number", "protocol", "service", "state")

    def __init__(self, port: etree._Element, state: str, reason: str | None) -> None:
        self.number, self.protocol, self.state = int(port.get("portid", 0)), port.get("protocol", "tcp"), state
        self.service: str | None = None
        # Named as masscan's is.
        self.extra: dict[str, Any] = {"reason": reason} if reason else {}

    def note(self, tag: str, element: etree._Element) -> None:
        """Take in a service, one of its cpes, or a script's output."""
        get = element.get
        if tag == "service":
            self.service = get("name", "")[:_MAX_TEXT] or None
            if get("method") != "table":  # a name looked up by the port's number comes without a version
                self.extra |= {name: text[:_MAX_TEXT] for name in _VERSION_FIELDS if (text := get(name))}
        elif tag == "cpe":
            self.extra.setdefault("cpe", []).append((element.text or "")[:_MAX_TEXT])
        elif len(scripts := self.extra.setdefault("scripts", {})) < _MAX_SCRIPTS:
            name, output = _script(element)
            scripts[name] = output


def _script(element: etree._Element) -> tuple[str, str]:
    """Its name and its output."""
    return element.get("id", "")[:_MAX_TEXT], element.get("output", "")[:_MAX_SCRIPT_TEXT]


def _hostname(names: etree._Element | None) -> str | None:
    first = names.find("hostname") if names is not None else None
    return first.get("name", "")[:_MAX_TEXT] or None if first is not None else None

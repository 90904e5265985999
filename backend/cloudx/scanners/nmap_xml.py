"""nmap's XML into observations: streamed, so that a file of any size takes the memory of one host."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lxml import etree

from cloudx.domain.addresses import AddressSet
from cloudx.domain.errors import CloudxError
from cloudx.domain.findings import Finding, Host, Observation

# Closed and filtered ports are what a scan mostly meets: the coverage proof counts them, rows do not.
_KEPT_STATES = frozenset({"open", "open|filtered"})
_MAX_TEXT = 200
_MAX_SCRIPT_TEXT = 4000
_MAX_SCRIPTS = 30
_VERSION_FIELDS = ("product", "version", "extrainfo", "tunnel", "ostype")


def read_observations(file: Path, addresses: AddressSet) -> Iterator[Observation]:
    """Each host that is up, followed by its open ports. Raises CloudxError when the XML is broken."""
    hosts = etree.iterparse(
        str(file), events=("end",), tag="host", resolve_entities=False, no_network=True, huge_tree=False, load_dtd=False
    )
    try:
        for _, element in hosts:
            yield from _observations(element, addresses)
            _forget(element)
    except etree.XMLSyntaxError as error:
        raise CloudxError(
            f"nmap's XML is broken ({str(error)[:200]}). Scan again; the node's disk may be full."
        ) from error


def _forget(element: etree._Element) -> None:
    """Free a host and everything before it (host hints, task progress)."""
    element.clear()
    parent = element.getparent()
    while parent is not None and element.getprevious() is not None:
        del parent[0]


def _observations(host: etree._Element, addresses: AddressSet) -> Iterator[Observation]:
    parts = {child.tag: child for child in host}
    status, ip, extra = parts.get("status"), None, {}
    for address in host.iterchildren("address"):
        if address.get("addrtype") == "mac":
            extra = {"mac": address.get("addr"), "vendor": address.get("vendor")}
        else:
            ip = address.get("addr")
    if ip is None or status is None or status.get("state") != "up" or ipaddress.ip_address(ip) not in addresses:
        return
    observed_at = datetime.fromtimestamp(int(host.get("endtime") or host.get("starttime") or 0), UTC)
    hostname = _hostname(parts.get("hostnames"))
    ports = list(_findings(parts.get("ports"), ip, hostname, observed_at))
    yield _host(parts, ip, hostname, observed_at, extra, answered=bool(ports) or status.get("reason") != "user-set")
    yield from ports


def _host(
    parts: dict[Any, etree._Element],
    ip: str,
    hostname: str | None,
    observed_at: datetime,
    extra: dict[str, Any],
    answered: bool,
) -> Host:
    os_match = parts["os"].find("osmatch") if "os" in parts else None
    if os_match is not None:
        extra |= {"os_accuracy": os_match.get("accuracy")}
    if "hostscript" in parts:
        extra |= {"scripts": _scripts(parts["hostscript"])}
    # With -Pn nmap calls every address up; one of which nothing was heard may as well be nothing.
    heard = answered or _has_closed_ports(parts.get("ports"))
    return Host(
        ip=ip,
        state="up" if heard else "unknown",
        observed_at=observed_at,
        hostname=hostname,
        os_name=_short(os_match.get("name")) if os_match is not None else None,
        extra={name: value for name, value in extra.items() if value},
    )


def _has_closed_ports(ports: etree._Element | None) -> bool:
    if ports is None:
        return False
    closed_group = any(group.get("state") == "closed" for group in ports.iterchildren("extraports"))
    return closed_group or any(_state(port) == "closed" for port in ports.iterchildren("port"))


def _findings(ports: etree._Element | None, ip: str, hostname: str | None, observed_at: datetime) -> Iterator[Finding]:
    if ports is None:
        return
    for port in ports.iterchildren("port"):
        state = _state(port)
        if state in _KEPT_STATES:
            service = port.find("service")
            yield Finding(
                ip=ip,
                protocol=port.get("protocol", "tcp"),
                port=int(port.get("portid", 0)),
                state=state,
                observed_at=observed_at,
                service=_short(service.get("name")) if service is not None else None,
                hostname=hostname,
                extra=_port_extra(port, service),
            )


def _state(port: etree._Element) -> str:
    state = port.find("state")
    return state.get("state", "") if state is not None else ""


def _port_extra(port: etree._Element, service: etree._Element | None) -> dict[str, Any]:
    extra: dict[str, Any] = {}
    if service is not None:
        extra |= {name: _short(service.get(name)) for name in _VERSION_FIELDS if service.get(name)}
        cpes = [_short(cpe.text) for cpe in service.iterchildren("cpe") if cpe.text]
        extra |= {"cpe": cpes} if cpes else {}
    scripts = _scripts(port)
    return extra | ({"scripts": scripts} if scripts else {})


def _scripts(parent: etree._Element) -> dict[str, str]:
    """What scripts said, cut: a hostile target may make them say megabytes."""
    said = list(parent.iterchildren("script"))[:_MAX_SCRIPTS]
    return {script.get("id", "")[:_MAX_TEXT]: script.get("output", "")[:_MAX_SCRIPT_TEXT] for script in said}


def _hostname(names: etree._Element | None) -> str | None:
    first = names.find("hostname") if names is not None else None
    return _short(first.get("name")) if first is not None else None


def _short(text: str | None) -> str | None:
    return text[:_MAX_TEXT] if text else None

"""Which of its hosts an nmap run really probed, read off its XML and its stderr while they are written.

nmap ends with success all the same when it skipped a target, gave a host up, or when the kernel refused its packets.
"""

from __future__ import annotations

import ipaddress
import json
import re
from pathlib import Path

from cloudx.domain.addresses import AddressSet
from cloudx.domain.coverage import Unprobed

_FILE = "hosts.json"
# How every host element begins; escaped text holds no bare `<`, so no target can forge one.
_HOST = re.compile(
    rb'<host(?P<attributes>(?: [^>]{0,300})?)>\s*<status state="(?P<state>\w+)" reason="(?P<reason>[\w-]*)"[^>]{0,80}/>'
    rb'\s*<address addr="(?P<address>[0-9a-fA-F.:]{2,45})"'
)
_MAX_HEAD_BYTES = 600
_REFUSED = re.compile(rb"sendto in [^\r\n]{0,200} => ([A-Za-z ]{3,60})")
_NO_ROUTE = re.compile(rb"failed to determine route to ([0-9a-fA-F.:]{2,45})")
_SHOWN = 3


class HostsSeen:
    """Takes in both streams of a run; `save` leaves what it learnt in the run's folder."""

    def __init__(self) -> None:
        self._answered: set[str] = set()
        self._silent: set[str] = set()
        self._timed_out: set[str] = set()
        self._without_route: set[str] = set()
        self._refusal = ""
        self._xml = self._stderr = b""

    def feed_xml(self, data: bytes) -> None:
        """A piece of the XML."""
        text = self._xml + data
        end = 0
        for host in _HOST.finditer(text):
            end = host.end()
            self._note(host)
        self._xml = text[max(end, len(text) - _MAX_HEAD_BYTES) :]

    def feed_stderr(self, data: bytes) -> None:
        """A piece of standard error."""
        text = self._stderr + data
        if not self._refusal and (refused := _REFUSED.search(text)):
            self._refusal = refused[1].decode().strip()
        self._without_route |= {address.decode() for address in _NO_ROUTE.findall(text)}
        self._stderr = text[-_MAX_HEAD_BYTES:]

    def _note(self, host: re.Match[bytes]) -> None:
        address = host["address"].decode()
        if b'timedout="true"' in host["attributes"]:
            self._timed_out.add(address)
        # With -Pn nmap calls every host up (user-set), heard or not.
        elif host["state"] != b"up" or host["reason"] == b"user-set":
            self._silent.add(address)
        else:
            self._answered.add(address)

    def save(self, folder: Path) -> None:
        """For `unprobed_of`."""
        lists = (self._answered, self._silent, self._timed_out, self._without_route)
        (folder / _FILE).write_text(json.dumps([[sorted(addresses) for addresses in lists], self._refusal]))


def unprobed_of(folder: Path, assigned: AddressSet) -> Unprobed | None:
    """The addresses that a run left out, gave up or could not send to, with nmap's words; None where there are none."""
    lists, refusal = json.loads((folder / _FILE).read_text())
    answered, silent, timed_out, without_route = (_addresses(texts) & assigned for texts in lists)
    missing = assigned - answered - silent - timed_out
    reasons = [
        (without_route & missing, "failed to determine route"),
        (missing - without_route, "nmap skipped it and said nothing of it in its report"),
        (timed_out, "nmap gave the host up after its time limit"),
        (silent if refusal else AddressSet(), f"sendto: {refusal}; is a firewall of the node in the way?"),
    ]
    parts = [(addresses, reason) for addresses, reason in reasons if addresses]
    if not parts:
        return None
    failed = AddressSet.of(span for addresses, _ in parts for span in addresses.ranges)
    words = "; ".join(f"{_shown(addresses)}: {reason}" for addresses, reason in parts)
    return Unprobed(failed, words, timed_out=timed_out.size)


def _addresses(texts: list[str]) -> AddressSet:
    return AddressSet.of_addresses(map(ipaddress.ip_address, texts))


def _shown(addresses: AddressSet) -> str:
    texts = addresses.texts()
    return ", ".join(texts[:_SHOWN]) + (f" and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else "")

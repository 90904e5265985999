"""Host names to addresses by the system's resolver."""

from __future__ import annotations

import ipaddress
import socket

from typing_extensions import override

from cloudx.domain.addresses import Address
from cloudx.domain.errors import DependencyUnavailable
from cloudx.services.access.ports import Resolver


class SystemResolver(Resolver):
    """By getaddrinfo(3), so /etc/hosts and resolv.conf count."""

    @override
    def resolve(self, host_name: str) -> list[Address]:
        try:
            found = socket.getaddrinfo(host_name, None, type=socket.SOCK_STREAM)
        except socket.gaierror as error:
            if error.errno == socket.EAI_AGAIN:
                raise DependencyUnavailable(
                    f"The name server did not answer for {host_name!r}. Try again, or give the address."
                ) from error
            return []
        except UnicodeError:
            return []
        unique = {ipaddress.ip_address(info[4][0]) for info in found if "%" not in str(info[4][0])}
        return sorted(unique, key=lambda address: (address.version, int(address)))

"""python-nomad with the defaults it lacks, and its failures in our words."""

from __future__ import annotations

from urllib.parse import urlsplit

import requests
from nomad import Nomad
from nomad.api.exceptions import BaseNomadException

from cloudx.domain.errors import BadConfiguration, CloudxError, DependencyUnavailable, Forbidden, InvalidInput, NotFound

NOMAD_TIMEOUT_SECONDS = 15
_REASON_LIMIT = 500


def nomad_client(address: str, token: str | None = None) -> Nomad:
    """A client of one agent that verifies certificates (the library's own default does not). Not thread-safe."""
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadConfiguration(f"NOMAD_ADDR: takes http://HOST:PORT or https://HOST:PORT, not {address!r}.")
    session = requests.Session()
    # A proxy of the environment would never reach this machine's own loopback.
    session.trust_env = parts.hostname not in ("127.0.0.1", "localhost", "::1")
    return Nomad(address=address.rstrip("/"), token=token, timeout=NOMAD_TIMEOUT_SECONDS, verify=True, session=session)


def nomad_failure(address: str, error: BaseNomadException, needs: str) -> CloudxError:
    """Our error for one of the library's; `needs` is the ACL rule that the request requires."""
    response = error.nomad_resp
    if not isinstance(response, requests.Response):
        problem = f"{address} does not answer ({type(response).__name__})"
        return DependencyUnavailable(f"{problem}. See whether the Nomad agent runs there: `nomad server members`.")
    reason = response.text.strip()[:_REASON_LIMIT]
    if response.status_code in (401, 403):
        return Forbidden(f"Nomad refuses the token ({reason}). NOMAD_TOKEN or NOMAD_TOKEN_FILE needs {needs}.")
    if response.status_code == 404:
        return NotFound(f"Nomad does not know it: {reason}. `nomad status` lists what there is.")
    if response.status_code == 400 or "Unexpected response" in reason:
        return InvalidInput("job", f"Nomad refuses it: {reason}")
    return DependencyUnavailable(f"{address} answers {response.status_code}: {reason}. See the Nomad servers' logs.")

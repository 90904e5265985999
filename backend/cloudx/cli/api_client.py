"""The HTTP API as the command line calls it: every failure becomes a sentence with its remedy."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import requests

from cloudx import __version__
from cloudx.domain.errors import CloudxError, InvalidInput

from .connection import Connection

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 30.0
RETRY_PAUSES_SECONDS = (0.0, 0.5)  # at once, and once more when a proxy has had time to notice
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}\Z", re.ASCII)
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class ApiUnreachable(CloudxError):
    """No answer came, or the answer is not that of a Cloud-X API."""

    code = "api_unreachable"


class ApiRefused(CloudxError):
    """The API answered with an error of its own."""

    def __init__(self, status: int, code: str, message: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.retry_after_seconds = retry_after_seconds

    @property
    def is_temporary(self) -> bool:
        """True where the same request may work a moment later."""
        return self.status in (429, 502, 503, 504)


class _Bearer(requests.auth.AuthBase):
    """Sends the token. As a plain header, requests would let a ~/.netrc entry replace it."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token is not None:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class ApiClient:
    """One API, one credential. Every call raises ApiUnreachable or ApiRefused when it fails."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._session = requests.Session()
        self._session.auth = _Bearer(connection.token)
        self._session.headers["User-Agent"] = f"cloudx/{__version__}"
        # An HTTP_PROXY of the shell would never reach this machine's own loopback.
        self._session.trust_env = urlsplit(connection.url).hostname not in _LOOPBACK

    def close(self) -> None:
        """Close the connections that are kept open between calls."""
        self._session.close()

    def get(self, path: str, answer_seconds: float = ANSWER_SECONDS, **query: Any) -> Any:
        """Return a document; an API that is silent for `answer_seconds` counts as unreachable."""
        return self._document(self._send("GET", path, answer_seconds, params=query))

    def post(self, path: str, body: Any = None, idempotency_key: str | None = None, repeatable: bool = False) -> Any:
        """Create or do something; with a key, or where it is `repeatable`, it is tried again if its answer dies."""
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else None
        return self._document(self._send("POST", path, repeatable=repeatable, json=body, headers=headers))

    def patch(self, path: str, body: Any) -> Any:
        """Change something; once or twice is the same."""
        return self._document(self._send("PATCH", path, repeatable=True, json=body))

    def delete(self, path: str) -> Any:
        """Remove something."""
        return self._document(self._send("DELETE", path))

    @contextmanager
    def stream(self, path: str, answer_seconds: float = ANSWER_SECONDS, **query: Any) -> Iterator[Iterator[bytes]]:
        """Yield the body of an answer of any length, piece by piece."""
        with self._send("GET", path, answer_seconds, params=query, stream=True) as response:
            yield self._pieces(response)

    def _pieces(self, response: requests.Response) -> Iterator[bytes]:
        try:
            yield from response.iter_content(1 << 16)
        except requests.RequestException:
            raise ApiUnreachable("The answer was cut off before its end. Ask again.") from None

    def _send(self, method: str, path: str, seconds: float = ANSWER_SECONDS, **options: Any) -> requests.Response:
        try:
            response = self._request(method, path, seconds, **options)
        except requests.RequestException as error:
            raise self._unreachable(error) from error
        if not response.ok or response.is_redirect:
            with response:
                raise self._refusal(response)
        return response

    def _request(
        self, method: str, path: str, seconds: float, repeatable: bool = False, **options: Any
    ) -> requests.Response:
        """Again where the answer died on its way (an instance was killed, a proxy gave up), if that is safe."""
        is_safe = repeatable or method != "POST" or "Idempotency-Key" in (options.get("headers") or {})
        for pause_seconds in RETRY_PAUSES_SECONDS if is_safe else ():
            try:
                response = self._once(method, path, seconds, **options)
            except requests.RequestException as error:
                if not _was_cut(error):
                    raise
            else:
                if not _died_behind_proxy(response):
                    return response
                response.close()
            time.sleep(pause_seconds)
        return self._once(method, path, seconds, **options)

    def _once(self, method: str, path: str, seconds: float, **options: Any) -> requests.Response:
        return self._session.request(
            method,
            self.connection.url + path,
            timeout=(CONNECT_SECONDS, seconds),
            allow_redirects=False,  # a redirected POST would become a GET
            **options,
        )

    def _document(self, response: requests.Response) -> Any:
        if response.status_code == 204:
            return None
        try:
            return response.json()
        except ValueError:
            raise self._foreign(response) from None

    def _unreachable(self, error: requests.RequestException) -> ApiUnreachable:
        url = self.connection.url
        if isinstance(error, requests.exceptions.SSLError):
            return ApiUnreachable(f"The certificate of {url} is not trusted. Is CLOUDX_URL the name it was issued for?")
        if _was_cut(error):
            return ApiUnreachable(f"{url} closed the connection before its answer was whole. Try again in a moment.")
        if isinstance(error, requests.Timeout):
            return ApiUnreachable(f"{url} did not answer in time. Is it overloaded, or a firewall in between?")
        if isinstance(error, requests.ConnectionError):
            return ApiUnreachable(
                f"Nothing answers at {url}. Start it with `make run` or `cloudx up`, or set CLOUDX_URL to what runs."
            )
        return ApiUnreachable(f"{url} cannot be called ({type(error).__name__}). Check CLOUDX_URL.")

    def _refusal(self, response: requests.Response) -> CloudxError:
        try:
            document = response.json()
            message, code = str(document["error"]), str(document["code"])
        except (ValueError, KeyError, TypeError):
            return self._foreign(response)
        if response.status_code == 401:
            message += " " + self._credential_remedy()
        return ApiRefused(response.status_code, code, message, _retry_after_seconds(response))

    def _credential_remedy(self) -> str:
        source = self.connection.token_source
        if self.connection.token is None:
            return "No token was sent: set CLOUDX_TOKEN, or CLOUDX_DATA_DIR to the folder of the running `cloudx up`."
        return f"The token sent came from {source}: set CLOUDX_TOKEN to one that is valid at {self.connection.url}."

    def _foreign(self, response: requests.Response) -> CloudxError:
        status, url = response.status_code, self.connection.url
        message = f"{url} answered {status}, but not as a Cloud-X API does. Check CLOUDX_URL, and any proxy before it."
        if status in (429, 502, 503, 504):
            message = f"A proxy at {url} answered {status}: no Cloud-X API behind it does. Check it, or CLOUDX_URL."
            return ApiRefused(status, "bad_gateway", message, _retry_after_seconds(response))
        if response.is_redirect:
            there = response.headers.get("Location", "elsewhere")
            message = f"{url} points to {there}. Set CLOUDX_URL to the address of the API itself."
        return ApiUnreachable(message)


def _died_behind_proxy(response: requests.Response) -> bool:
    """True where a proxy got no answer from the instance it chose; the next try may reach another one."""
    ours = response.headers.get("Content-Type", "").startswith("application/json")
    return response.status_code in (502, 504) and not ours


def _was_cut(error: requests.RequestException) -> bool:
    """True where the other side closed a connection instead of answering on it, or in the middle of its answer."""
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return True
    parts = getattr(error.args[0], "args", ()) if error.args else ()
    return any(isinstance(part, ConnectionResetError | BrokenPipeError) for part in parts)


def _retry_after_seconds(response: requests.Response) -> float | None:
    seconds = response.headers.get("Retry-After", "")
    return float(seconds) if seconds.isascii() and seconds.isdigit() else None


def scan_id_of(api: ApiClient, typed: str) -> str:
    """Return a full scan id; the word `last` stands for the newest scan. Raises InvalidInput or ApiRefused."""
    if typed != "last":
        return checked_id(typed)
    newest = api.get("/api/scans", limit=1)
    if not newest:
        raise ApiRefused(404, "not_found", "There is no scan yet. Start one with `cloudx scan TARGET`.")
    return str(newest[0]["job_id"])


def checked_id(typed: str) -> str:
    """Return an id that is safe as part of an address. Raises InvalidInput."""
    if not _ID.match(typed):
        raise InvalidInput("id", f"{typed[:64]!r} is not an id. The list commands show the ids there are.")
    return typed

"""Find the API and a token for it: in the environment, else in the data folder that `cloudx up` wrote."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from cloudx.config import Settings
from cloudx.domain.errors import BadConfiguration, CloudxError
from cloudx.private_files import why_untrusted
from cloudx.processes.first_start import CLI_FILE

_START_ONE = "Start one with `make run` or `cloudx up`, or set CLOUDX_URL and CLOUDX_TOKEN to one that runs."


class NoApiKnown(CloudxError):
    """Neither the environment nor a data folder names an API."""

    code = "no_api_known"


@dataclass(frozen=True)
class Connection:
    """An API and a token for it; `token_source` is the variable or file that held the token."""

    url: str
    token: str | None
    token_source: str


def find_connection(settings: Settings) -> Connection:
    """Take CLOUDX_URL and CLOUDX_TOKEN, or what the data folder holds. Raises NoApiKnown or BadConfiguration."""
    file = settings.cloudx_data_dir / CLI_FILE
    kept_url, kept_token = _read(file)
    url = settings.cloudx_url or kept_url
    # A folder that others can write, in /tmp or a clone, must not decide where our token goes.
    if settings.cloudx_url is None and url is not None and (reason := _why_untrusted(file)):
        raise BadConfiguration(f"{reason} Or set CLOUDX_URL to the API you mean.")
    if url is None:
        raise NoApiKnown(f"No Cloud-X API is known: CLOUDX_URL is not set and there is no {file}. {_START_ONE}")
    url = url.rstrip("/")
    if settings.cloudx_token is not None:
        return Connection(url, _usable(settings.cloudx_token.get_secret_value(), "CLOUDX_TOKEN"), "CLOUDX_TOKEN")
    # The folder's token is for the folder's API: no other address may see it.
    if kept_token is not None and kept_url is not None and url == kept_url.rstrip("/"):
        return Connection(url, _usable(kept_token, str(file)), str(file))
    return Connection(url, None, "nowhere")


def _why_untrusted(file: Path) -> str | None:
    return why_untrusted(file.parent) or why_untrusted(file)


def _read(file: Path) -> tuple[str | None, str | None]:
    """Read the address and token that `cloudx up` wrote; both are None if it never ran there."""
    try:
        kept = json.loads(file.read_text())
        return str(kept["url"]), kept["token"] and str(kept["token"])
    except FileNotFoundError:
        return None, None
    except OSError as error:
        raise NoApiKnown(f"{file} cannot be read ({error.strerror}). Use the account that ran `cloudx up`.") from None
    except (ValueError, KeyError, TypeError):
        raise NoApiKnown(f"{file} is damaged. Delete it and start `cloudx up` again, which writes it.") from None


def _usable(token: str, source: str) -> str:
    token = token.strip()
    if not token.isascii() or not token.isprintable() or " " in token:
        raise BadConfiguration(
            f"{source} does not hold a token, which is one word of ASCII. Copy the whole token again."
        )
    return token

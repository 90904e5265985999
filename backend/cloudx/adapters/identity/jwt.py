"""What all verifiers of signed tokens share: one algorithm, required claims, and keys that may be unreachable."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jwt
from jwt import PyJWKClient
from jwt.exceptions import PyJWKClientConnectionError, PyJWTError

from cloudx.domain.errors import DependencyUnavailable, Unauthenticated

JWKS_TIMEOUT_SECONDS = 3
JWKS_LIFESPAN_SECONDS = 600
LEEWAY_SECONDS = 5  # clocks differ
_SIGN_IN_AGAIN = "Sign in again, or use an API token."


def jwks_client(url: str) -> PyJWKClient:
    """A client for a JWKS; for an unknown key id it fetches the set again, at most twice a minute."""
    return PyJWKClient(url, timeout=JWKS_TIMEOUT_SECONDS, lifespan=JWKS_LIFESPAN_SECONDS)


def unverified_claims(token: str) -> dict[str, Any]:
    """The claims of a token before any check, only to choose its verifier; {} when it is not a JWT."""
    try:
        return jwt.decode(token, options={"verify_signature": False})
    except PyJWTError:
        return {}


def verified_claims(
    token: str, keys: PyJWKClient | str, *, required: Sequence[str], issuer: str | None = None
) -> dict[str, Any]:
    """The claims of a token with a good RS256 signature; `keys` are a JWKS or one PEM.

    Raises Unauthenticated, or DependencyUnavailable when the keys cannot be fetched.
    """
    try:
        key = keys if isinstance(keys, str) else _key_of(token, keys)
        return jwt.decode(
            token,
            key,
            algorithms=["RS256"],
            issuer=issuer,
            leeway=LEEWAY_SECONDS,
            options={"require": list(required), "verify_aud": False},  # each verifier checks its own audience
        )
    except PyJWKClientConnectionError as error:
        raise DependencyUnavailable("The issuer's signing keys cannot be fetched. Try again shortly.") from error
    except (PyJWTError, ValueError, TypeError) as error:
        raise Unauthenticated(f"The signed token is not accepted: {error}. {_SIGN_IN_AGAIN}") from error


def _key_of(token: str, keys: PyJWKClient) -> Any:
    header = jwt.get_unverified_header(token)
    if header.get("alg") != "RS256":  # before any look-up: no key is ever used for another algorithm
        raise Unauthenticated(f"The signed token's algorithm is not RS256. {_SIGN_IN_AGAIN}")
    return keys.get_signing_key(str(header.get("kid"))).key

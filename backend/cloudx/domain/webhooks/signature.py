"""The signature of a delivery, by which a receiver knows who sent it and when."""

from __future__ import annotations

import hashlib
import hmac


def signature(secret: str, body: bytes, unix_seconds: int) -> str:
    """The value of X-Cloudx-Signature: `t=…,v1=…`, an HMAC-SHA256 of the time, a dot and the body."""
    signed = b"%d.%b" % (unix_seconds, body)
    return f"t={unix_seconds},v1={hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()}"

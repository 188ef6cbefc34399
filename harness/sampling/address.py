"""The address of a server, as --model_path gives it."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from harness.errors import UserError


def is_address(model_path: str) -> bool:
    """Whether a --model_path names a server rather than a model."""
    return model_path.lower().startswith(("http://", "https://"))


def checked(address: str) -> str:
    """The address without a slash at its end. Raises UserError for one with a secret in it, or with more than a path.

    An address is on record in manifests and reports, so the error does not repeat it.
    """
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise UserError("not an address", where="--model_path", fix="for example http://localhost:8000/v1") from error
    if not host:
        raise UserError("an address without a host", where="--model_path", fix="for example http://localhost:8000/v1")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise UserError(
            "an address with a user, a password or parameters in it, which would end up in records",
            where="--model_path",
            fix="give the address alone; a key goes into an environment variable: --api_key_env NAME",
        )
    return address.rstrip("/")


def is_loopback(address: str) -> bool:
    """Whether the server is on this machine, and no proxy or eavesdropper in between."""
    host = urlsplit(address).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")

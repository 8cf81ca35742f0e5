"""Errors that whoever runs or asks a registry can mend."""

from __future__ import annotations

from datacachalog.domain.errors.base import DatacachalogError


class RegistryError(DatacachalogError):
    """A registry refuses something, or cannot do it.

    `status` is what HTTP calls the reason, as in RFC 9110; 500 where it has no better word.
    """

    status: int = 500
    code = "registry"

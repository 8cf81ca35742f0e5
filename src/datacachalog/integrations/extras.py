"""The parts of this package that need libraries which are installed with an extra."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from datacachalog.domain.errors import MissingExtraError

if TYPE_CHECKING:
    from types import ModuleType


def needed(module: str, extra: str, wanted: str) -> ModuleType:
    """A module that is imported when it is first used, as what it imports is large or missing.

    Raises:
        MissingExtraError: something that comes with `extra` is not installed, and `wanted` needs
            it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("datacachalog"):
            raise  # a bug
        raise MissingExtraError(wanted, str(error.name), extra) from error

"""Which adapter serves which scheme. The only place that imports adapters, and by name.

Built-in schemes are never looked up elsewhere, so that no installed package can take over `s3://`.
Unknown ones are looked up in the entry-point group `datacachalog.storage`: the entry's name is the
scheme, its object a function that takes `StorageSettings` and returns a `StoragePort`.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from datacachalog.adapters.storage.router import RouterStorage
from datacachalog.domain.errors import UnsupportedSchemeError
from datacachalog.domain.uri import TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from datacachalog.domain.storage_options import StorageOptions
    from datacachalog.domain.uri import Uri
    from datacachalog.ports import DatlakeApiPort, StoragePort

ENTRY_POINTS = "datacachalog.storage"
_BUILT_IN = {
    "file": ("datacachalog.adapters.storage.filesystem", "build"),
    "s3": ("datacachalog.adapters.storage.s3", "build"),
    TABLES: ("datacachalog.adapters.storage.datlake", "build"),
}


@dataclass(frozen=True, slots=True)
class StorageSettings:
    """What an adapter may know: the catalog's `storage:` section by URI prefix, the environment.

    In the folder `verdicts` it may remember for a while what it found out about servers.
    """

    options: Mapping[str, StorageOptions] = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)  # it holds credentials
    verdicts: Path | None = None
    registry: Callable[[], DatlakeApiPort] | None = None
    """Makes what tables are asked of, when the first one is; without it, there are no tables."""


def storage_of(settings: StorageSettings) -> StoragePort:
    """One storage for all schemes; adapters are imported when theirs is first used."""
    return RouterStorage(lambda uri: adapter_for(uri, settings))


def adapter_for(uri: Uri, settings: StorageSettings) -> StoragePort:
    """The adapter of the URI's scheme.

    Raises:
        UnsupportedSchemeError: there is none.
    """
    if uri.scheme in _BUILT_IN:
        module, name = _BUILT_IN[uri.scheme]
        build = getattr(importlib.import_module(module), name)
    else:
        # By name: importing it takes 20 ms, and only unknown schemes need it.
        metadata = importlib.import_module("importlib.metadata")
        found = metadata.entry_points(group=ENTRY_POINTS, name=uri.scheme)
        if not found:
            known = ", ".join(f"{scheme}://" for scheme in _BUILT_IN)
            raise UnsupportedSchemeError(str(uri), f"built in: {known}")
        build = next(iter(found)).load()
    return cast("StoragePort", build(settings))

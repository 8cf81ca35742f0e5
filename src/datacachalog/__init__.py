"""Name a dataset once, get a verified local path anywhere.

>>> from datacachalog import Catalog, Dataset
>>> catalog = Catalog([Dataset("customers", "data/customers.csv")])
>>> catalog["customers"].source.name
'customers.csv'
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from datacachalog.application.explanations import Explanation, Forecast, Reason
    from datacachalog.application.results import (
        CacheSizeWarning,
        Collected,
        DatasetStatus,
        Fetched,
        Integrity,
        LockChange,
        Locked,
        Outcome,
        PushResult,
        StaleWarning,
        State,
        Verified,
        ViewWarning,
    )
    from datacachalog.bootstrap import Catalog
    from datacachalog.domain.dataset import Dataset
    from datacachalog.domain.errors import (
        CacheError,
        CacheFullError,
        CachePermissionError,
        CatalogError,
        CatalogInvalidError,
        CatalogNotFoundError,
        ConflictError,
        DatacachalogError,
        DatasetNameError,
        DatasetNotFoundError,
        FetchAllError,
        IntegrityError,
        InvalidUriError,
        LocalFileError,
        LockfileError,
        LockfileNotFoundError,
        LockMismatchError,
        NotAnObjectError,
        ObjectNotFoundError,
        ObjectReplacedError,
        OfflineError,
        ReadOnlyDatasetError,
        RegistryError,
        RemoteChangedError,
        SettingError,
        StorageAccessError,
        StorageError,
        StorageUnavailableError,
        UnsafeCacheError,
        UnsupportedOperationError,
        UnsupportedSchemeError,
        VersionNotFoundError,
        ViewError,
    )
    from datacachalog.domain.freshness import Freshness
    from datacachalog.domain.lockfile import Pin
    from datacachalog.domain.objects import ObjectInfo, Revision
    from datacachalog.domain.uri import Uri
    from datacachalog.ports import ProgressPort

__all__ = [
    "CacheError",
    "CacheFullError",
    "CachePermissionError",
    "CacheSizeWarning",
    "Catalog",
    "CatalogError",
    "CatalogInvalidError",
    "CatalogNotFoundError",
    "Collected",
    "ConflictError",
    "DatacachalogError",
    "Dataset",
    "DatasetNameError",
    "DatasetNotFoundError",
    "DatasetStatus",
    "Explanation",
    "FetchAllError",
    "Fetched",
    "Forecast",
    "Freshness",
    "Integrity",
    "IntegrityError",
    "InvalidUriError",
    "LocalFileError",
    "LockChange",
    "LockMismatchError",
    "Locked",
    "LockfileError",
    "LockfileNotFoundError",
    "NotAnObjectError",
    "ObjectInfo",
    "ObjectNotFoundError",
    "ObjectReplacedError",
    "OfflineError",
    "Outcome",
    "Pin",
    "ProgressPort",
    "PushResult",
    "ReadOnlyDatasetError",
    "Reason",
    "RegistryError",
    "RemoteChangedError",
    "Revision",
    "SettingError",
    "StaleWarning",
    "State",
    "StorageAccessError",
    "StorageError",
    "StorageUnavailableError",
    "UnsafeCacheError",
    "UnsupportedOperationError",
    "UnsupportedSchemeError",
    "Uri",
    "Verified",
    "VersionNotFoundError",
    "ViewError",
    "ViewWarning",
]

_HOMES: Final[Mapping[str, str]] = {
    name: home
    for home, names in {
        "application.explanations": "Explanation Forecast Reason",
        "application.results": (
            "CacheSizeWarning Collected DatasetStatus Fetched Integrity LockChange Locked "
            "Outcome PushResult StaleWarning State Verified ViewWarning"
        ),
        "bootstrap": "Catalog",
        "domain.dataset": "Dataset",
        "domain.freshness": "Freshness",
        "domain.lockfile": "Pin",
        "domain.objects": "ObjectInfo Revision",
        "domain.uri": "Uri",
        "ports": "ProgressPort",
    }.items()
    for name in names.split()
}
"""Where each name is from, but for errors."""


if not TYPE_CHECKING:  # who checks types would take every name for one of these

    def __getattr__(name: str) -> object:
        """One of the names, from its home: nobody waits for those of others (PEP 562)."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        home = importlib.import_module(f"{__name__}.{_HOMES.get(name, 'domain.errors')}")
        globals()[name] = found = getattr(home, name)
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

"""Every error that datacachalog raises on purpose, grouped by who can mend it.

DatacachalogError
├── CatalogError                  whoever writes the call or catalog.yaml
│   ├── CatalogNotFoundError
│   ├── CatalogInvalidError
│   ├── DatasetNotFoundError
│   ├── DatasetNameError
│   ├── ReadOnlyDatasetError
│   ├── InvalidUriError
│   ├── SettingError
│   ├── LocalFileError
│   ├── LockfileError
│   ├── LockfileNotFoundError
│   └── LockMismatchError
├── StorageError                  whoever runs the store, or gave us access to it
│   ├── ObjectNotFoundError
│   ├── VersionNotFoundError
│   ├── NotAnObjectError
│   ├── StorageAccessError
│   ├── StorageUnavailableError
│   │   └── OfflineError
│   ├── RemoteChangedError
│   ├── UnsupportedSchemeError
│   └── UnsupportedOperationError
├── ConflictError                 whoever pushed at the same time
├── CacheError                    whoever owns the disk
│   ├── CacheFullError
│   ├── CachePermissionError
│   │   └── UnsafeCacheError
│   └── IntegrityError
├── ViewError                     whoever owns the folder that it names
├── RegistryError                 whoever runs the registry, or asks it
└── FetchAllError                 several of the above at once

Each class has a stable `code` (on the command line's JSON and in the docs), a message of one
sentence that names the thing, and a `hint` that says what to do next. Arguments are positional,
so that every error pickles. No message ever holds a credential.
"""

from datacachalog.domain.errors.base import DatacachalogError, FetchAllError
from datacachalog.domain.errors.cache import (
    CacheError,
    CacheFullError,
    CachePermissionError,
    IntegrityError,
    UnsafeCacheError,
    ViewError,
)
from datacachalog.domain.errors.catalog import (
    CatalogError,
    CatalogInvalidError,
    CatalogNotFoundError,
    DatasetNameError,
    DatasetNotFoundError,
    InvalidUriError,
    LocalFileError,
    LockfileError,
    LockfileNotFoundError,
    LockMismatchError,
    ReadOnlyDatasetError,
    SettingError,
)
from datacachalog.domain.errors.registry import RegistryError
from datacachalog.domain.errors.storage import (
    ConflictError,
    NotAnObjectError,
    ObjectNotFoundError,
    OfflineError,
    RemoteChangedError,
    StorageAccessError,
    StorageError,
    StorageUnavailableError,
    UnsupportedOperationError,
    UnsupportedSchemeError,
    VersionNotFoundError,
)

__all__ = [
    "CacheError",
    "CacheFullError",
    "CachePermissionError",
    "CatalogError",
    "CatalogInvalidError",
    "CatalogNotFoundError",
    "ConflictError",
    "DatacachalogError",
    "DatasetNameError",
    "DatasetNotFoundError",
    "FetchAllError",
    "IntegrityError",
    "InvalidUriError",
    "LocalFileError",
    "LockMismatchError",
    "LockfileError",
    "LockfileNotFoundError",
    "NotAnObjectError",
    "ObjectNotFoundError",
    "OfflineError",
    "ReadOnlyDatasetError",
    "RegistryError",
    "RemoteChangedError",
    "SettingError",
    "StorageAccessError",
    "StorageError",
    "StorageUnavailableError",
    "UnsafeCacheError",
    "UnsupportedOperationError",
    "UnsupportedSchemeError",
    "VersionNotFoundError",
    "ViewError",
]

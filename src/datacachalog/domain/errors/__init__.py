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
│   │   └── ObjectReplacedError
│   ├── UnsupportedSchemeError
│   └── UnsupportedOperationError
├── ConflictError                 whoever pushed at the same time
├── CacheError                    whoever owns the disk
│   ├── CacheFullError
│   ├── CachePermissionError
│   │   └── UnsafeCacheError
│   └── IntegrityError
├── ViewError                     whoever owns the folder that it names
├── ReadingError                  whoever wrote the table, or asks for it
│   └── UnreadableFormatError
├── QueryError                    whoever wrote the query
├── MissingExtraError             whoever installed this
├── RegistryError                 whoever runs the registry, or asks it
│   └── ApiError
│       ├── ConfigurationError
│       ├── AuthError
│       │   └── ForbiddenError
│       ├── NotFoundError
│       ├── ApiConflictError
│       ├── ValidationError
│       ├── TransientError
│       │   ├── TransientNetworkError
│       │   │   └── ApiOfflineError
│       │   └── RateLimitedError
│       ├── ServerError
│       ├── JobFailedError
│       └── RunStateError
└── FetchAllError                 several of the above at once

Each class has a stable `code` (on the command line's JSON and in the docs), a message of one
sentence that names the thing, and a `hint` that says what to do next. Arguments are positional,
so that every error pickles. No message ever holds a credential.
"""

from datacachalog.domain.errors.api import (
    ApiConflictError,
    ApiError,
    ApiOfflineError,
    AuthError,
    ConfigurationError,
    ForbiddenError,
    JobFailedError,
    NotFoundError,
    RateLimitedError,
    RunStateError,
    ServerError,
    TransientError,
    TransientNetworkError,
    ValidationError,
)
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
from datacachalog.domain.errors.reading import (
    MissingExtraError,
    QueryError,
    ReadingError,
    UnreadableFormatError,
)
from datacachalog.domain.errors.registry import RegistryError
from datacachalog.domain.errors.storage import (
    ConflictError,
    NotAnObjectError,
    ObjectNotFoundError,
    ObjectReplacedError,
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
    "ApiConflictError",
    "ApiError",
    "ApiOfflineError",
    "AuthError",
    "CacheError",
    "CacheFullError",
    "CachePermissionError",
    "CatalogError",
    "CatalogInvalidError",
    "CatalogNotFoundError",
    "ConfigurationError",
    "ConflictError",
    "DatacachalogError",
    "DatasetNameError",
    "DatasetNotFoundError",
    "FetchAllError",
    "ForbiddenError",
    "IntegrityError",
    "InvalidUriError",
    "JobFailedError",
    "LocalFileError",
    "LockMismatchError",
    "LockfileError",
    "LockfileNotFoundError",
    "MissingExtraError",
    "NotAnObjectError",
    "NotFoundError",
    "ObjectNotFoundError",
    "ObjectReplacedError",
    "OfflineError",
    "QueryError",
    "RateLimitedError",
    "ReadOnlyDatasetError",
    "ReadingError",
    "RegistryError",
    "RemoteChangedError",
    "RunStateError",
    "ServerError",
    "SettingError",
    "StorageAccessError",
    "StorageError",
    "StorageUnavailableError",
    "TransientError",
    "TransientNetworkError",
    "UnreadableFormatError",
    "UnsafeCacheError",
    "UnsupportedOperationError",
    "UnsupportedSchemeError",
    "ValidationError",
    "VersionNotFoundError",
    "ViewError",
]

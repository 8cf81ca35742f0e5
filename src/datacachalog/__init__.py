"""Name a dataset once, get a verified local path anywhere.

>>> from datacachalog import Catalog, Dataset
>>> catalog = Catalog([Dataset("customers", "data/customers.csv")])
>>> catalog["customers"].source.name
'customers.csv'
"""

from datacachalog.application.explanations import Explanation, Forecast, Reason
from datacachalog.application.results import (
    CacheSizeWarning,
    Collected,
    DatasetStatus,
    Fetched,
    Integrity,
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
    NotAnObjectError,
    ObjectNotFoundError,
    OfflineError,
    ReadOnlyDatasetError,
    RemoteChangedError,
    SettingError,
    StorageAccessError,
    StorageError,
    StorageUnavailableError,
    UnsupportedOperationError,
    UnsupportedSchemeError,
    VersionNotFoundError,
    ViewError,
)
from datacachalog.domain.freshness import Freshness
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
    "NotAnObjectError",
    "ObjectInfo",
    "ObjectNotFoundError",
    "OfflineError",
    "Outcome",
    "ProgressPort",
    "PushResult",
    "ReadOnlyDatasetError",
    "Reason",
    "RemoteChangedError",
    "Revision",
    "SettingError",
    "StaleWarning",
    "State",
    "StorageAccessError",
    "StorageError",
    "StorageUnavailableError",
    "UnsupportedOperationError",
    "UnsupportedSchemeError",
    "Uri",
    "Verified",
    "VersionNotFoundError",
    "ViewError",
    "ViewWarning",
]

"""Lineage-tracked jobs against a registry of tables and snapshots.

>>> from datlake_sdk import DatlakeClient
>>> DatlakeClient("https://datlake.example.com", "dlk_x").settings.api_url
'https://datlake.example.com'
"""

from datacachalog.domain.errors import ApiConflictError as Conflict
from datacachalog.domain.errors import ApiError as SDKError
from datacachalog.domain.errors import (
    ApiOfflineError,
    AuthError,
    ConfigurationError,
    ForbiddenError,
    JobFailedError,
    LocalFileError,
    MissingExtraError,
    ObjectReplacedError,
    QueryError,
    RateLimitedError,
    ReadingError,
    RunStateError,
    ServerError,
    SettingError,
    TransientNetworkError,
    UnreadableFormatError,
    ValidationError,
)
from datacachalog.domain.errors import NotFoundError as NotFound
from datacachalog.domain.errors import TransientError as Transient
from datacachalog.sdk.client import DatalakeClient, DatlakeClient
from datacachalog.sdk.context import JobContext, current_job
from datacachalog.sdk.policies import Policy, policy_from_env

__all__ = [
    "ApiOfflineError",
    "AuthError",
    "ConfigurationError",
    "Conflict",
    "DatalakeClient",
    "DatlakeClient",
    "ForbiddenError",
    "JobContext",
    "JobFailedError",
    "LocalFileError",
    "MissingExtraError",
    "NotFound",
    "ObjectReplacedError",
    "Policy",
    "QueryError",
    "RateLimitedError",
    "ReadingError",
    "RunStateError",
    "SDKError",
    "ServerError",
    "SettingError",
    "Transient",
    "TransientNetworkError",
    "UnreadableFormatError",
    "ValidationError",
    "current_job",
    "policy_from_env",
]

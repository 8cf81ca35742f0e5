"""Runs of jobs as functions that return a `Result`."""

from datacachalog.domain.errors import ApiError as SDKError
from datacachalog.sdk.functional import (
    Run,
    SnapshotInfo,
    UriInfo,
    complete_run,
    fetch_latest_uri,
    make_log_artifact,
    register_snapshot,
    start_run,
    upload_object,
)
from datacachalog.sdk.policies import Policy, policy_from_env
from datacachalog.sdk.records import Artifact
from datacachalog.sdk.result import (
    Err,
    Ok,
    Result,
    and_then,
    map,  # noqa: A004 - as in the plan
    map_err,
    recover,
    tee,
)

__all__ = [
    "Artifact",
    "Err",
    "Ok",
    "Policy",
    "Result",
    "Run",
    "SDKError",
    "SnapshotInfo",
    "UriInfo",
    "and_then",
    "complete_run",
    "fetch_latest_uri",
    "make_log_artifact",
    "map",
    "map_err",
    "policy_from_env",
    "recover",
    "register_snapshot",
    "start_run",
    "tee",
    "upload_object",
]

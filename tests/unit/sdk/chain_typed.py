"""A pipeline of functions, of which mypy and pyright know every type; nothing here is run."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_type

from datlake_sdk.functional import (
    Artifact,
    Err,
    Ok,
    Result,
    Run,
    SDKError,
    SnapshotInfo,
    UriInfo,
    and_then,
    complete_run,
    fetch_latest_uri,
    make_log_artifact,
    map,  # noqa: A004
    map_err,
    policy_from_env,
    recover,
    register_snapshot,
    start_run,
    tee,
)

if TYPE_CHECKING:
    from datlake_sdk import DatlakeClient


def process(u: UriInfo) -> Result[str, SDKError]:
    try:
        return Ok(u.uri.upper())
    except Exception as ex:
        return Err(SDKError.from_exception(ex))


def pipeline(client: DatlakeClient) -> None:
    r0 = start_run(client, "daily_users", metadata={"source": "s3"})
    assert_type(r0, Result[Run, SDKError])
    r1 = and_then(r0, lambda run: fetch_latest_uri(client, run, "users_raw"))
    assert_type(r1, Result[UriInfo, SDKError])
    r2 = and_then(r1, process)
    assert_type(r2, Result[str, SDKError])
    r3 = and_then(
        r2,
        lambda out_uri: register_snapshot(
            client, r0.value, "users_curated", out_uri, format="parquet"
        ),
    )
    assert_type(r3, Result[SnapshotInfo, SDKError])
    assert_type(r0.value, Run)
    if isinstance(r3, Ok):
        assert_type(r3.value, SnapshotInfo)
        complete_run(client, r0.value, success=True)
    else:
        assert_type(r3, Err[SDKError])
        complete_run(client, r0.value, success=False, extra={"error": str(r3.error)})


def log(r0: Result[Run, SDKError], client: DatlakeClient) -> None:
    if isinstance(r0, Ok):
        art = make_log_artifact("objects", r0.value, "/var/log/app/run.log")
        assert_type(art, Result[Artifact, SDKError])
        arts = [art.value] if isinstance(art, Ok) else []
        done = complete_run(client, r0.value, success=True, artifacts=arts)
        assert_type(done, Result[None, SDKError])


def policies(client: DatlakeClient, run: Run) -> None:
    policy = policy_from_env()
    res = fetch_latest_uri(client, run, "users_raw")
    res = recover(
        res,
        lambda e: (
            Ok(UriInfo("users_raw", uri="", format="", schema=None))
            if (policy.continue_on_not_found and e.code == 404)
            else Err(e)
        ),
    )
    assert_type(res, Result[UriInfo, SDKError])


def told(error: SDKError) -> Result[str, LookupError]:
    return Ok(str(error)) if error.status == 404 else Err(LookupError())


def changes(res: Result[UriInfo, SDKError]) -> None:
    assert_type(map(res, lambda u: len(u.uri)), Result[int, SDKError])
    assert_type(map_err(res, lambda e: e.status), Result[UriInfo, int])
    assert_type(tee(res, lambda u: u.uri), Result[UriInfo, SDKError])
    assert_type(recover(res, told), "Ok[UriInfo | str] | Err[LookupError]")
    assert_type(
        and_then(res, lambda u: Ok(1) if u.uri else Err(KeyError(u.table_name))),
        "Ok[int] | Err[SDKError | KeyError]",
    )
    match res:
        case Ok(value):
            assert_type(value, UriInfo)
        case Err(error):
            assert_type(error, SDKError)

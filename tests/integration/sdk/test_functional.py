"""Runs as functions, against a registry."""

from __future__ import annotations

import logging
import uuid
from typing import TYPE_CHECKING

import pytest

from datlake_sdk import AuthError, DatlakeClient, NotFound, SDKError, TransientNetworkError
from datlake_sdk.functional import (
    Err,
    Ok,
    Run,
    SnapshotInfo,
    and_then,
    complete_run,
    fetch_latest_uri,
    make_log_artifact,
    map,  # noqa: A004
    register_snapshot,
    start_run,
    tee,
    upload_object,
)
from tests.integration.sdk.jobs import CSV, client_of, log_of, run_of, table_of
from tests.servers.processes import HeldPorts

if TYPE_CHECKING:
    from collections.abc import Callable

    from datlake_sdk.functional import (
        Result,
        UriInfo,
    )


@pytest.fixture
def job() -> str:
    return f"job-{uuid.uuid4().hex[:8]}"


def pipeline(client, job, source, target, process: Callable[[UriInfo], Result[str, SDKError]]):
    """The pipeline of the plan, as it is written there."""
    r0 = start_run(client, job, metadata={"source": "s3"})
    r1 = and_then(r0, lambda run: fetch_latest_uri(client, run, source))
    r2 = and_then(r1, process)
    r3 = and_then(
        r2, lambda out_uri: register_snapshot(client, r0.value, target, out_uri, format="csv")
    )
    if isinstance(r3, Ok):
        complete_run(client, r0.value, success=True)
    else:
        complete_run(client, r0.value, success=False, extra={"error": str(r3.error)})
    return r0, r3


def test_a_pipeline_reads_transforms_and_writes(server, table, job):
    client, read = client_of(server), table_of(server, table)
    seen: list[UriInfo] = []

    def process(u: UriInfo) -> Result[str, SDKError]:
        seen.append(u)
        return Ok(server.object(CSV * 2))

    r0, r3 = pipeline(client, job, table, f"{table}_curated", process)

    assert isinstance(r3, Ok)
    made = r3.value
    assert isinstance(made, SnapshotInfo)
    assert made.table_name == f"{table}_curated"
    assert ["csv", True] == [seen[0].format, seen[0].is_found]
    assert seen[0].schema is not None
    assert ["id", "name"] == [one["name"] for one in seen[0].schema["fields"]]
    run = run_of(server, r0.value.run_id)
    assert ("success", job, {"source": "s3"}) == (run["status"], run["job_name"], run["metadata"])
    assert [{"table_name": table, "snapshot_id": read}] == run["inputs"]
    assert [{"table_name": made.table_name, "snapshot_id": made.snapshot_id}] == run["outputs"]


def test_the_first_error_ends_a_pipeline_and_fails_its_run(server, table, job):
    client = client_of(server)

    def process(u: UriInfo) -> Result[str, SDKError]:
        raise AssertionError("there was nothing to process")

    r0, r3 = pipeline(client, job, table, f"{table}_curated", process)

    assert isinstance(r3, Err)
    assert isinstance(r3.error, NotFound)
    assert r3.error.code == 404
    assert r0.value.run_id == r3.error.run_id
    assert r3.error.request_id
    run = run_of(server, r0.value.run_id)
    assert ("failed", str(r3.error)) == (run["status"], run["error"])


def test_what_the_users_function_catches_is_the_runs_error(server, table, job):
    client, _ = client_of(server), table_of(server, table)

    def process(u: UriInfo) -> Result[str, SDKError]:
        try:
            raise LookupError("no column 'x'")
        except Exception as ex:
            return Err(SDKError.from_exception(ex))

    r0, _ = pipeline(client, job, table, f"{table}_curated", process)

    assert "LookupError: no column 'x'" == run_of(server, r0.value.run_id)["error"]


def test_a_bug_in_the_users_function_is_raised(server, table, job):
    client, _ = client_of(server), table_of(server, table)

    def process(u: UriInfo) -> Result[str, SDKError]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        pipeline(client, job, table, f"{table}_curated", process)


def test_an_object_that_cannot_be_a_snapshot_is_an_error_with_its_code(server, table, job):
    client = client_of(server)
    run = start_run(client, job).value
    missing = (server.objects / "none.parquet").as_uri()

    done = register_snapshot(client, run, table, missing, format="parquet")

    assert isinstance(done, Err)
    assert done.error.code == "uri_not_found"
    assert run.run_id == done.error.run_id


def test_a_start_that_is_repeated_is_the_same_run(server, job):
    client = client_of(server)
    first = start_run(client, job, {"n": 1}).value

    again = start_run(client, job, {"n": 1}, run_id=first.run_id)

    assert Ok(first) == again
    assert 7 == uuid.UUID(first.run_id).version
    assert first == Run(job, first.run_id)


def test_a_completion_is_done_once(server, job):
    client = client_of(server)
    run = start_run(client, job).value

    assert Ok(None) == complete_run(client, run, success=True, extra={"rows": 3})
    assert Ok(None) == complete_run(client, run, success=True, extra={"rows": 3})
    assert isinstance(complete_run(client, run, success=False), Err)
    assert {"rows": 3} == run_of(server, run.run_id)["metadata"]


def test_a_log_is_uploaded_and_linked(server, job, tmp_path):
    client, log = client_of(server), tmp_path / "app.log"
    log.write_text("all is well\n")
    run = start_run(client, job).value

    art = make_log_artifact("objects", run, str(log), client=client)
    arts = [art.value] if isinstance(art, Ok) else []
    complete_run(client, run, success=True, artifacts=arts)

    [linked] = run_of(server, run.run_id)["artifacts"]
    assert "log" == linked["type"]
    assert linked["uri"].endswith(f"/objects/jobs/{job}/{run.run_id}/run.log")
    assert "all is well\n" == log_of(server, linked["uri"])


def test_without_a_client_the_environment_is_asked(configured, job, tmp_path):
    log = tmp_path / "app.log"
    log.write_text("all is well\n")
    run = start_run(None, job).value

    art = make_log_artifact("objects", run, str(log))
    complete_run(None, run, True, artifacts=[art.value])

    assert ["log"] == [one["type"] for one in run_of(configured, run.run_id)["artifacts"]]


def test_a_log_that_is_missing_is_an_error_of_the_run(server, job, tmp_path):
    client = client_of(server)
    run = start_run(client, job).value

    art = make_log_artifact("objects", run, str(tmp_path / "none.log"), client=client)

    assert isinstance(art, Err)
    assert "none.log" in str(art.error)
    assert run.run_id == art.error.run_id


def test_nothing_that_can_be_expected_is_raised(table):
    ports = HeldPorts(1)
    nobody = DatlakeClient(f"http://127.0.0.1:{ports[0]}", "dlk_x", retry="max=0")
    run = Run("job", "run")

    for done in (
        start_run(nobody, "job"),
        fetch_latest_uri(nobody, run, table),
        register_snapshot(nobody, run, table, "s3://b/k", format="parquet"),
        upload_object(nobody, "objects", "x", __file__),
        complete_run(nobody, run, success=True),
    ):
        assert isinstance(done, Err)
        assert isinstance(done.error, TransientNetworkError)


def test_without_a_configuration_everything_is_an_error_that_says_so(table):
    done = fetch_latest_uri(None, None, table)

    assert isinstance(done, Err)
    assert "registry-configuration" == done.error.code
    assert "DATLAKE_API_URL" in (done.error.hint or "")


def test_a_wrong_key_is_asked_with_once(server, table):
    wrong = DatlakeClient(server.base_url, "dlk_wrong")

    done = fetch_latest_uri(wrong, None, table)

    assert isinstance(done, Err)
    assert isinstance(done.error, AuthError)


def test_values_are_told_of_and_changed_on_their_way(server, table):
    client, _ = client_of(server), table_of(server, table)
    told: list[str] = []

    found = tee(
        map(fetch_latest_uri(client, None, table), lambda info: info.table_name), told.append
    )

    assert Ok(table) == found
    assert [table] == told


def test_errors_are_logged_with_what_was_done(server, table, caplog):
    caplog.set_level(logging.WARNING, "datlake_sdk")

    fetch_latest_uri(client_of(server), None, table)

    assert [f"fetching the URI of {table!r}"] == [
        line.partition(":")[0] for line in caplog.messages
    ]

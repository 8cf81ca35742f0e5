"""`JobContext` against a registry: what the block does, and what is known of the run then."""

from __future__ import annotations

import asyncio
import atexit
import contextvars
import json
import logging
import pickle
import sys
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import date

import numpy as np
import pytest

from datacachalog import Catalog, Dataset
from datacachalog.domain.lineage import current_recorder
from datlake_sdk import (
    DatlakeClient,
    ForbiddenError,
    JobContext,
    NotFound,
    RunStateError,
    SDKError,
    current_job,
)
from tests.integration.sdk.jobs import (
    CSV,
    client_of,
    events_of,
    log_of,
    run_of,
    runs_of,
    table_of,
)


@pytest.fixture
def job() -> str:
    return f"job-{uuid.uuid4().hex[:8]}"


# --- the plan's examples


def test_a_block_is_a_run_with_its_lineage(server, table, job):
    client, read = client_of(server), table_of(server, table)
    with JobContext(client, job_name=job, metadata={"source": "s3"}, ship_logs=True) as run:
        src = run.get_table_latest_uri(table)
        df = CSV.splitlines()[1:]
        made = run.register_snapshot(f"{table}_curated", server.object(CSV), format="csv")
        run.log_event("metrics", {"rows": len(df)})

    assert src.startswith(server.objects.as_uri())
    assert {"table_name", "snapshot_id", "uri"} == set(made)
    found = run_of(server, run.run_id)
    assert ("success", {"source": "s3"}, None) == (
        found["status"],
        found["metadata"],
        found["error"],
    )
    assert [{"table_name": table, "snapshot_id": read}] == found["inputs"]
    made.pop("uri")
    assert [made] == found["outputs"]
    assert ["log"] == [one["type"] for one in found["artifacts"]]
    told = events_of(server, job)
    assert ("custom.metrics", {"rows": 2}) in told
    assert ["run.started", "run.completed"] == [told[0][0], told[-1][0]]
    edges = client.get_lineage(f"{table}_curated").edges
    assert [(table, job, run.run_id)] == [(e.source, e.job_name, e.last_run_id) for e in edges]


def test_a_job_by_name_asks_the_registry_of_the_environment(configured, job):
    with JobContext(job, {"source": "s3"}) as by_place:
        pass
    with JobContext(job_name=job, metadata={"source": "s3"}) as by_name:
        pass

    for run in (by_place, by_name):
        found = run_of(configured, run.run_id)
        assert ("success", {"source": "s3"}) == (found["status"], found["metadata"])


def test_without_a_block_it_is_started_and_completed(server, job):
    run = JobContext(client_of(server)).start(job, {"source": "s3"})
    run.complete(success=True, extra={"rows": 3})

    found = run_of(server, run.run_id)
    assert ("success", {"source": "s3", "rows": 3}) == (found["status"], found["metadata"])


def test_a_run_may_be_completed_as_failed_with_its_error(server, job):
    with JobContext(client_of(server), job) as run:
        run.complete(success=False, extra={"error": "too few rows", "rows": 1})

    found = run_of(server, run.run_id)
    assert ("failed", "too few rows", {"rows": 1}) == (
        found["status"],
        found["error"],
        found["metadata"],
    )


# --- how it ends


def test_an_exception_fails_the_run_and_is_raised_as_it_is(server, job):
    mine = LookupError("no column 'x'")

    with pytest.raises(LookupError) as raised, JobContext(client_of(server), job) as run:
        raise mine

    assert mine is raised.value
    assert not hasattr(mine, "__notes__")
    found = run_of(server, run.run_id)
    assert ("failed", "LookupError: no column 'x'") == (found["status"], found["error"])
    assert "raise mine" in found["metadata"]["traceback"]


@pytest.mark.parametrize(
    "error",
    [
        KeyboardInterrupt(),
        SystemExit(143),
        GeneratorExit(),
        asyncio.CancelledError(),
    ],
)
def test_what_is_no_error_aborts_the_run(server, job, error):
    with pytest.raises(type(error)) as raised, JobContext(client_of(server), job) as run:
        raise error

    assert error is raised.value
    assert "aborted" == run_of(server, run.run_id)["status"]


@pytest.mark.parametrize(
    ("code", "status", "told"),
    [
        (None, "success", None),
        (0, "success", None),
        (3, "failed", "SystemExit: 3"),
        ("no rows", "failed", "SystemExit: no rows"),
    ],
)
def test_sys_exit_ends_a_run_as_it_ends_a_program(server, job, code, status, told):
    with pytest.raises(SystemExit), JobContext(client_of(server), job) as run:
        sys.exit(code)

    found = run_of(server, run.run_id)
    assert (status, told) == (found["status"], found["error"])


def test_a_program_that_was_started_for_a_run_begins_its_children(server, job, monkeypatch):
    monkeypatch.setenv("DATLAKE_API_URL", server.base_url)
    monkeypatch.setenv("DATLAKE_API_KEY", server.admin_key)
    client = client_of(server)
    outer = client.start_run(job)
    monkeypatch.setenv("DATLAKE_JOB_NAME", job)
    monkeypatch.setenv("DATLAKE_RUN_ID", outer.run_id)

    with JobContext(client, f"{job}-inner") as inner:
        pass
    with JobContext(DatlakeClient(server.base_url, server.principal()), job) as other:
        pass

    assert outer.run_id == run_of(server, inner.run_id)["parent_run_id"]
    assert run_of(server, other.run_id)["parent_run_id"] is None


def test_a_generator_that_is_closed_elsewhere_aborts_its_run(server, job):
    def rows():
        with JobContext(client_of(server), job) as run:
            yield run
            yield run

    lines = contextvars.copy_context().run(lambda: (made := rows(), next(made)))

    lines[0].close()

    assert "aborted" == run_of(server, lines[1].run_id)["status"]


class BrokenError(Exception):
    def __str__(self):
        raise RuntimeError("no text")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (BrokenError(), "BrokenError: its text cannot be made (RuntimeError)"),
        (ValueError("x" * 20_000), f"ValueError: {'x' * 9987}…"),
        (ValueError("\0 \ud800"), "ValueError: � ?"),
        (ValueError(), "ValueError"),
    ],
)
def test_every_error_can_be_told_of(server, job, error, told):
    with pytest.raises(type(error)) as raised, JobContext(client_of(server), job) as run:
        raise error

    assert error is raised.value
    found = run_of(server, run.run_id)
    assert ("failed", told) == (found["status"], found["error"])


def test_errors_inside_know_their_run(server, table, job):
    client = client_of(server)

    with pytest.raises(NotFound) as of_the_job, JobContext(client, job) as first:
        first.get_table_latest_uri(table)
    with pytest.raises(NotFound) as of_the_client, JobContext(client, job) as second:
        client.get_table_uri(table)

    assert (first.run_id, second.run_id) == (of_the_job.value.run_id, of_the_client.value.run_id)
    assert second.run_id in str(of_the_client.value)
    assert second.run_id == pickle.loads(pickle.dumps(of_the_client.value)).run_id  # noqa: S301


def test_what_the_registry_refuses_of_a_completion_does_not_leave_the_run_open(server, job):
    with (
        pytest.raises(SDKError, match="larger than"),
        JobContext(client_of(server), job) as run,
    ):
        run.add_metadata({"much": "x" * 70_000})

    found = run_of(server, run.run_id)
    assert "failed" == found["status"]
    assert found["error"].startswith("its completion was refused: ")


def test_nor_does_it_replace_the_users_exception(server, table, job):
    key = server.principal(("SELECT", f"table:{table}")) if table_of(server, table) else ""
    client = DatlakeClient(server.base_url, key)

    with pytest.raises(LookupError) as raised, JobContext(client, job) as run:  # noqa: PT012
        run.get_table_latest_uri(table)
        [grant] = [g for g in server.ask("GET", "/grants") if g["on"] == f"table:{table}"]
        server.ask("DELETE", f"/grants/{grant['id']}")
        raise LookupError("mine")

    assert "was not completed as it should be" in raised.value.__notes__[0]
    found = run_of(server, run.run_id)
    assert ("failed", "LookupError: mine") == (found["status"], found["error"])


def test_a_key_that_is_revoked_meanwhile_does_not_replace_it_either(server, job):
    key = server.principal()
    mine = LookupError("mine")

    with (  # noqa: PT012 - all of it has to come about
        pytest.raises(LookupError) as raised,
        JobContext(DatlakeClient(server.base_url, key), job) as run,
    ):
        server.ask("DELETE", f"/api-keys/{key.split('_')[1]}")
        raise mine

    assert mine is raised.value
    assert run.run_id in mine.__notes__[0]
    assert key not in mine.__notes__[0]
    client_of(server).complete_run(job, run.run_id, "failed")
    atexit.unregister(run._at_exit)


# --- what it cannot be used for


def test_a_context_is_one_run(server, job):
    run = JobContext(client_of(server), job)
    with run:
        with pytest.raises(RunStateError, match="was used before"):
            run.__enter__()
        with pytest.raises(RunStateError, match="started before"):
            run.start()

    with pytest.raises(RunStateError, match="was used before"), run:
        pass
    assert 1 == len(runs_of(server, job))


def test_before_its_start_and_after_its_end_nothing_is_done(server, table, job):
    run = JobContext(client_of(server), job)
    uses = [
        lambda: run.get_table_latest_uri(table),
        lambda: run.resolve_table_uri(table),
        lambda: run.register_snapshot(table, "s3://b/k", "parquet", None),
        lambda: run.log_event("x", {}),
        lambda: run.progress(1),
        lambda: run.attach_log("x"),
        lambda: run.attach_json("x", {}),
        lambda: run.add_metadata({}),
        run.complete,
    ]

    for use in uses:
        with pytest.raises(RunStateError, match="was not started yet"):
            use()
    with run:
        pass
    for use in uses:
        with pytest.raises(RunStateError, match="is over") as raised:
            use()
        assert run.run_id == raised.value.run_id


def test_metadata_is_a_mapping(server):
    with pytest.raises(TypeError, match="is a mapping, not 'second'"):
        JobContext("first", "second")


def test_a_run_without_a_job_is_refused(server):
    with pytest.raises(RunStateError, match="whose name is missing"):
        JobContext(client_of(server)).start()


def test_a_run_of_a_name_that_no_job_has_is_refused_and_its_block_is_not_run(server):
    with (
        pytest.raises(SDKError),
        JobContext(client_of(server), "no name"),
    ):
        raise AssertionError("the block was run")


def test_a_context_is_not_sent_to_other_processes_but_its_run_is(server, job):
    with JobContext(client_of(server), job) as run:
        with pytest.raises(TypeError, match="hand over its `run`"):
            pickle.dumps(run)
        copy = pickle.loads(pickle.dumps(run.run))  # noqa: S301

    assert run.run == copy


# --- nested


def test_a_run_inside_of_another_is_its_child(server, job):
    client = client_of(server)
    with JobContext(client, job) as outer:
        assert outer is current_job()
        assert outer is current_recorder()
        with JobContext(client, f"{job}-inner") as inner:
            assert inner is current_job()
        assert outer is current_job()

    assert current_job() is None
    assert current_recorder() is None
    assert outer.run_id == run_of(server, inner.run_id)["parent_run_id"]
    assert run_of(server, outer.run_id)["parent_run_id"] is None


def test_a_run_of_somebody_else_is_no_child(server, job):
    other = DatlakeClient(server.base_url, server.principal())
    with JobContext(client_of(server), job), JobContext(other, job) as inner:
        pass

    found = run_of(server, inner.run_id)
    assert ("success", None) == (found["status"], found["parent_run_id"])


def test_threads_begin_children_where_they_are_told_of_their_parent(server, job):
    client, made = client_of(server), []

    def begin(parent_run_id):
        with JobContext(client, f"{job}-inner", parent_run_id=parent_run_id) as run:
            made.append(run.run_id)

    with JobContext(client, job) as outer:
        for parent in (None, outer.run_id):
            thread = threading.Thread(target=begin, args=(parent,))
            thread.start()
            thread.join()
        asyncio.run(asyncio.to_thread(begin, None))  # which takes the context along

    assert [None, outer.run_id, outer.run_id] == [
        run_of(server, each)["parent_run_id"] for each in made
    ]


# --- lineage


def test_inputs_are_told_of_once_and_what_is_no_address_is_counted(server, table, job):
    snapshot = table_of(server, table)
    with JobContext(client_of(server), job) as run:
        for _ in range(3):
            run.resolve_table_uri(table)
        recorder = current_recorder()
        assert recorder is not None
        recorder.read_object("https://me:secret@example.com/a b.csv?X-Amz-Signature=secret")
        recorder.wrote_object("s3://lake/out?.csv")
        recorder.wrote(table, snapshot)
        run.read_object("no address")

    found = run_of(server, run.run_id)
    assert [
        {"table_name": table, "snapshot_id": snapshot},
        {"uri": "https://example.com/a%20b.csv"},
    ] == found["inputs"]
    assert {"uri": "s3://lake/out%3F.csv"} in found["outputs"]
    assert {"table_name": table, "snapshot_id": snapshot} in found["outputs"]
    assert {"lineage_left_out": 1} == found["metadata"]


def test_what_a_catalog_fetches_and_pushes_is_the_runs(configured, table, job, tmp_path):
    read, out = table_of(configured, table), tmp_path / "out.csv"
    out.write_bytes(CSV + b"3,Cem\n")
    target = f"{table}_curated"
    first = table_of(configured, target)
    datasets = [Dataset(name, f"datlake://{name}") for name in (table, target)]
    catalog = Catalog(datasets, cache_dir=tmp_path / "cache")

    with JobContext(job) as run:
        assert CSV == catalog.fetch(table).read_bytes()
        catalog.push(target, out, expect="any")
    catalog.fetch(target)

    found = run_of(configured, run.run_id)
    assert [{"table_name": table, "snapshot_id": read}] == found["inputs"]
    [made] = found["outputs"]
    assert (target, True) == (made["table_name"], made["snapshot_id"] != first)


def test_more_inputs_than_the_registry_takes_do_not_fail_a_run(server, job):
    with JobContext(client_of(server), job) as run:
        for number in range(203):
            run.read_object(f"s3://lake/{number}.csv")

    found = run_of(server, run.run_id)
    assert (200, {"lineage_left_out": 3}) == (len(found["inputs"]), found["metadata"])


# --- events, metadata and artifacts


def test_progress_is_told_at_most_once_a_second_and_at_the_end(server, job):
    with JobContext(client_of(server), job) as run:
        for done in range(1, 501):
            run.progress(done, 500)

    told = [data for kind, data in events_of(server, job) if kind == "custom.progress"]
    assert {"done": 1, "total": 500} == told[0]
    assert {"done": 500, "total": 500} == told[-1]
    assert len(told) < 10


def test_threads_may_use_one_run(server, table, job):
    table_of(server, table)
    client = client_of(server)

    def work(number):
        run.log_event("step", {"number": number})
        run.get_table_latest_uri(table)
        run.attach_json(f"part-{number}", {"number": number})
        run.progress(number, 100)

    with JobContext(client, job) as run, ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(24)))

    steps = [data["number"] for kind, data in events_of(server, job) if kind == "custom.step"]
    found = run_of(server, run.run_id)
    assert list(range(24)) == sorted(steps)
    assert (24, 1) == (len(found["artifacts"]), len(found["inputs"]))


def test_metadata_is_added_and_numbers_of_numpy_are_numbers(server, job):
    with JobContext(client_of(server), job, metadata={"source": "s3"}) as run:
        run.add_metadata({"rows": np.int64(3)})
        run.add_metadata({"mean": np.float32(0.5)})
        run.log_event("metrics", {"rows": np.int64(3)})

    found = run_of(server, run.run_id)
    assert {"source": "s3", "rows": 3, "mean": 0.5} == found["metadata"]


def test_times_and_paths_are_texts_and_what_is_no_number_is_null(server, job, tmp_path):
    with JobContext(client_of(server), job, metadata={"day": date(2025, 1, 2)}) as run:
        run.add_metadata({"loss": float("nan"), "all": [float("inf"), 1.5], "file": tmp_path})

    assert {
        "day": "2025-01-02",
        "loss": None,
        "all": [None, 1.5],
        "file": str(tmp_path),
    } == run_of(server, run.run_id)["metadata"]


def test_what_json_has_no_word_for_is_refused_at_once(server, job):
    with JobContext(client_of(server), job) as run:
        with pytest.raises(TypeError, match="no word for an object"):
            run.log_event("metrics", {"x": object()})
        with pytest.raises(TypeError):
            run.attach_json("metrics", {"x": object()})


def test_artifacts_are_uploaded_and_linked(server, job, tmp_path):
    plot = tmp_path / "plot.svg"
    plot.write_text("<svg/>")
    with JobContext(client_of(server), job) as run:
        uri = run.attach_json("metrics", {"rows": 3, "name": "Zoë"})
        run.attach_html("report", "<h1>Zoë</h1>")
        run.attach_file(plot, "plot")
        with pytest.raises(ValueError, match=r"\.\./x"):
            run.attach_json("../x", {})

    found = run_of(server, run.run_id)["artifacts"]
    place = f"jobs/{job}/{run.run_id}"
    assert [
        ("json", f"{place}/metrics.json"),
        ("html", f"{place}/report.html"),
        ("plot", f"{place}/plot.svg"),
    ] == [(one["type"], one["uri"].partition("/objects/")[2]) for one in found]
    assert {"rows": 3, "name": "Zoë"} == json.loads(log_of(server, uri))


def test_the_bucket_of_artifacts_is_a_setting(server, job, monkeypatch):
    monkeypatch.setenv("DATLAKE_ARTIFACT_BUCKET", "elsewhere")
    with (
        pytest.raises(NotFound) as raised,
        JobContext(client_of(server), job) as run,
    ):
        run.attach_json("metrics", {})

    assert run.run_id == raised.value.run_id
    with JobContext(client_of(server), job, artifact_bucket="objects") as run:
        run.attach_json("metrics", {})
    assert 1 == len(run_of(server, run.run_id)["artifacts"])


def test_who_may_not_upload_hears_so(server, job):
    client = DatlakeClient(server.base_url, server.principal())
    with pytest.raises(ForbiddenError), JobContext(client, job) as run:
        run.attach_json("metrics", {})

    assert "failed" == run_of(server, run.run_id)["status"]


# --- heartbeats


def test_a_run_beats_until_its_end(server, job):
    with JobContext(client_of(server), job, heartbeat_interval_s=1) as run:
        assert 1 == run_of(server, run.run_id)["heartbeat_interval_s"]
        deadline = time.monotonic() + 60
        while run_of(server, run.run_id)["beat_at"] is None:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert run.heartbeat_error is None

    assert [] == [one for one in threading.enumerate() if run.run_id in one.name]
    assert "success" == run_of(server, run.run_id)["status"]


def test_a_run_that_somebody_else_has_ended_says_so(server, job, caplog):
    caplog.set_level(logging.WARNING, "datlake_sdk")
    client = client_of(server)
    with (  # noqa: PT012 - all of it has to come about
        pytest.raises(SDKError, match="has ended already"),
        JobContext(client, job, heartbeat_interval_s=1) as run,
    ):
        client.complete_run(job, run.run_id, "aborted")
        deadline = time.monotonic() + 60
        while run.heartbeat_error is None:
            assert time.monotonic() < deadline
            time.sleep(0.05)

    assert "is over, for others" in caplog.text
    assert "aborted" == run_of(server, run.run_id)["status"]

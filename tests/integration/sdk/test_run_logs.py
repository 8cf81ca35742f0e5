"""Logs of runs: which are shipped, and that none fails a run."""

from __future__ import annotations

import logging
import os
import tempfile
import threading
import uuid
from pathlib import Path

import pytest

from datacachalog.sdk import run_logs
from datlake_sdk import DatlakeClient, JobContext
from tests.integration.sdk.jobs import client_of, events_of, log_of, run_of

LOG = logging.getLogger("my.job")


@pytest.fixture
def job() -> str:
    return f"job-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """Where temporary files are made: none is to be left there."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def logs_of(server, run):
    """The texts of the logs that are linked to a run."""
    artifacts = run_of(server, run.run_id)["artifacts"]
    return [log_of(server, one["uri"]) for one in artifacts if one["type"] == "log"]


def test_the_process_log_is_that_of_the_block(server, job, temporary):
    LOG.warning("before")
    with JobContext(client_of(server), job, ship_logs=True) as run:
        LOG.warning("inside: %s", "Zoë")
        LOG.debug("this is not for anybody")
        thread = threading.Thread(target=LOG.error, args=("in a thread",))
        thread.start()
        thread.join()
    LOG.warning("after")

    [text] = logs_of(server, run)
    first, *lines = text.splitlines()
    assert first.endswith(f"Z INFO datlake_sdk: run {run.run_id} of {job!r} was started")
    assert ["WARNING my.job: inside: Zoë", "ERROR my.job: in a thread"] == [
        line.partition("Z ")[2] for line in lines
    ]
    [place] = run_of(server, run.run_id)["artifacts"]
    assert place["uri"].endswith(f"/objects/jobs/{job}/{run.run_id}/run.log")
    assert [] == list(temporary.iterdir())


def test_the_log_of_a_failed_run_ends_in_its_traceback(server, job, temporary):
    with (
        pytest.raises(ZeroDivisionError),
        JobContext(client_of(server), job, ship_logs=True) as run,
    ):
        1 / 0  # noqa: B018 - it raises

    [text] = logs_of(server, run)
    assert text.endswith("ZeroDivisionError: division by zero\n")
    assert [] == list(temporary.iterdir())


@pytest.mark.parametrize(
    ("variable", "argument", "shipped"),
    [
        (None, None, 0),
        (None, True, 1),
        ("true", None, 1),
        ("true", False, 0),
        ("false", None, 0),
        ("false", True, 1),
    ],
)
def test_logs_are_shipped_where_it_is_said(server, job, monkeypatch, variable, argument, shipped):
    if variable is not None:
        monkeypatch.setenv("DATLAKE_LOG_SHIP", variable)
    with JobContext(client_of(server), job, ship_logs=argument) as run:
        LOG.warning("inside")

    assert shipped == len(logs_of(server, run))


def test_a_file_is_shipped_as_it_is_at_the_end(server, job, tmp_path):
    log = tmp_path / "app.log"
    with JobContext(client_of(server), job, ship_logs=True, log_path=log) as run:
        log.write_text("what the program wrote\n")

    assert ["what the program wrote\n"] == logs_of(server, run)


def test_a_file_may_be_attached_later_and_several_are_kept_apart(server, job, tmp_path):
    one, two = tmp_path / "one.log", tmp_path / "two.log"
    one.write_text("one\n")
    two.write_text("two\n")
    with JobContext(client_of(server), job, ship_logs=True) as run:
        run.attach_log(str(one))
        run.attach_log(two)

    assert ["one\n", "two\n"] == logs_of(server, run)
    names = [one["uri"].rpartition("/")[2] for one in run_of(server, run.run_id)["artifacts"]]
    assert ["run.log", "run-2.log"] == names


def a_folder(path):
    path.mkdir()


def a_pipe(path):
    os.mkfifo(path)


@pytest.mark.parametrize("make", [None, a_folder, a_pipe])
def test_a_log_that_is_no_file_is_a_warning_and_an_event(server, job, tmp_path, caplog, make):
    caplog.set_level(logging.WARNING, "datlake_sdk")
    log = tmp_path / "app.log"
    if make is not None:
        make(log)
    with JobContext(client_of(server), job, ship_logs=True, log_path=log) as run:
        pass

    assert "success" == run_of(server, run.run_id)["status"]
    assert "was not shipped" in caplog.text
    [told] = [data for kind, data in events_of(server, job) if kind.endswith("log-not-shipped")]
    assert "app.log" == told["log"]
    assert "cannot be read" in told["reason"]


def test_nor_does_a_name_fail_a_run_that_no_file_can_have(server, job):
    with JobContext(client_of(server), job) as run:
        run.attach_log("app\0.log")

    assert "success" == run_of(server, run.run_id)["status"]


def test_it_does_not_replace_the_users_exception_either(server, job, tmp_path):
    mine = LookupError("mine")

    with (
        pytest.raises(LookupError) as raised,
        JobContext(client_of(server), job, log_path=tmp_path / "none.log") as run,
    ):
        raise mine

    assert mine is raised.value
    assert "LookupError: mine" == run_of(server, run.run_id)["error"]


def test_of_a_huge_log_the_end_is_shipped(server, job, tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.WARNING, "datlake_sdk")
    log = tmp_path / "app.log"
    with log.open("wb") as file:
        file.truncate(3 * run_logs.MAX_LOG_BYTES)
        file.seek(0, os.SEEK_END)
        file.write(b"the end\n")
    with JobContext(client_of(server), job, log_path=log) as run:
        pass

    [text] = logs_of(server, run)
    assert (run_logs.MAX_LOG_BYTES, True) == (len(text), text.endswith("the end\n"))
    cut = 2 * run_logs.MAX_LOG_BYTES + len(b"the end\n")
    assert ("custom.sdk.log-cut", {"log": "app.log", "left_out_bytes": cut}) in events_of(
        server, job
    )
    assert "were not shipped" in caplog.text


def test_a_bucket_that_is_not_there_is_a_warning_and_an_event(server, job, monkeypatch, caplog):
    caplog.set_level(logging.WARNING, "datlake_sdk")
    monkeypatch.setenv("DATLAKE_ARTIFACT_BUCKET", "elsewhere")
    with JobContext(client_of(server), job, ship_logs=True) as run:
        pass

    assert "success" == run_of(server, run.run_id)["status"]
    [told] = [data for kind, data in events_of(server, job) if kind.endswith("log-not-shipped")]
    assert "no storage location holds '" in told["reason"]
    assert "was not shipped" in caplog.text


def test_so_is_one_that_the_caller_may_not_write_to(server, job):
    client = DatlakeClient(server.base_url, server.principal())
    with JobContext(client, job, ship_logs=True) as run:
        pass

    found = run_of(server, run.run_id)
    assert ("success", []) == (found["status"], found["artifacts"])
    [told] = [data for kind, data in events_of(server, job) if kind.endswith("log-not-shipped")]
    assert "may use for this" in told["reason"]


def test_where_no_temporary_file_can_be_made_the_run_goes_on(server, job, monkeypatch, caplog):
    caplog.set_level(logging.WARNING, "datlake_sdk")
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    with JobContext(client_of(server), job, ship_logs=True) as run:
        pass

    assert "success" == run_of(server, run.run_id)["status"]
    assert "is not shipped" in caplog.text


def test_a_log_that_grows_while_it_is_shipped_is_shipped_as_it_was(tmp_path):
    log = tmp_path / "app.log"
    log.write_bytes(b"as it was\n")

    with run_logs.end_of(str(log)) as (copy, left_out), log.open("ab") as file:
        file.write(b"and more\n")
        assert (b"as it was\n", 0) == (Path(copy).read_bytes(), left_out)


def test_nobody_else_may_read_what_is_logged(server, job, temporary):
    with JobContext(client_of(server), job, ship_logs=True):
        [file] = temporary.iterdir()
        assert 0o600 == file.stat().st_mode & 0o777

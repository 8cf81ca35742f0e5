"""The policies of the SDK, by what passes on the wire and what the registry hears."""

from __future__ import annotations

import json
import logging
import uuid
from typing import TYPE_CHECKING

import pytest

from datlake_sdk import (
    DatlakeClient,
    JobContext,
    NotFound,
    SDKError,
    SettingError,
    Transient,
    policy_from_env,
)
from datlake_sdk.functional import (
    Err,
    Ok,
    Run,
    UriInfo,
    complete_run,
    fetch_latest_uri,
    recover,
    start_run,
    upload_object,
)
from tests.integration.sdk.jobs import (
    client_of,
    events_of,
    run_of,
    table_of,
)
from tests.servers.counting import CountingProxy
from tests.servers.exchange import Reply, Script

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.servers.exchange import Exchange

BUSY = Reply(503, b'{"code": "busy", "detail": "not now"}', {"Content-Type": "application/json"})


@pytest.fixture
def job() -> str:
    return f"job-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def proxy(server) -> Iterator[CountingProxy]:
    with CountingProxy(server.base_url) as made:
        yield made


def busy(method: str, end: str, times: int = 1000) -> Callable[[Exchange], Script | None]:
    """Answers the first requests of that kind by 503."""
    left = [times]

    def hook(exchange: Exchange) -> Script | None:
        is_it = exchange.method == method and exchange.path.partition("?")[0].endswith(end)
        if is_it and left[0]:
            left[0] -= 1
            return Script(reply=BUSY)
        return None

    return hook


def asked(proxy: CountingProxy, end: str) -> list[str]:
    return [one.method for one in proxy.requests if one.path.partition("?")[0].endswith(end)]


# --- DATLAKE_SDK_ERROR_STRATEGY


def test_fail_fast_has_a_missing_table_be_an_error(server, table):
    client = client_of(server)

    found = fetch_latest_uri(client, None, table)

    assert client.policy.fail_fast
    assert isinstance(found, Err)
    assert isinstance(found.error, NotFound)


def test_continue_on_not_found_finds_a_substitute(server, table, job, monkeypatch, caplog):
    monkeypatch.setenv("DATLAKE_SDK_ERROR_STRATEGY", "continue_on_not_found")
    client = client_of(server)

    found = fetch_latest_uri(client, None, table)

    assert Ok(UriInfo(table, uri="", format="", schema=None)) == found
    assert isinstance(found, Ok)
    assert not found.value.is_found
    assert [] == caplog.messages
    with JobContext(client, job) as run:
        assert "" == run.get_table_latest_uri(table)
    assert ("success", []) == tuple(run_of(server, run.run_id)[key] for key in ("status", "inputs"))


def test_continue_on_not_found_is_of_lookups_only(server, job):
    client = client_of(server, error_strategy="continue_on_not_found")
    never_started = start_run(client, job, run_id="run-1").value
    never_started.run_id = f"none-{uuid.uuid4().hex}"

    assert isinstance(complete_run(client, never_started, success=True), Err)
    assert isinstance(upload_object(client, "no-such-bucket", "x", __file__), Err)


def test_continue_on_not_found_does_not_hide_a_table_that_is_forbidden(server, table):
    table_of(server, table)
    other = DatlakeClient(
        server.base_url, server.principal(), error_strategy="continue_on_not_found"
    )

    found = fetch_latest_uri(other, None, table)

    assert isinstance(found, Err)
    assert 403 == found.error.status


def test_the_policy_of_the_environment_is_one_to_recover_by(server, table, monkeypatch):
    monkeypatch.setenv("DATLAKE_SDK_ERROR_STRATEGY", "continue_on_not_found")
    policy = policy_from_env()
    res = fetch_latest_uri(client_of(server, error_strategy="fail_fast"), None, table)

    res = recover(
        res,
        lambda e: (
            Ok(UriInfo(table, uri="", format="", schema=None))
            if (policy.continue_on_not_found and e.code == 404)
            else Err(e)
        ),
    )

    assert Ok(UriInfo(table, uri="", format="", schema=None)) == res


def test_without_suppression_a_start_that_stays_transient_is_an_error(server, proxy, job):
    proxy.hook = busy("POST", "/runs")
    client = client_of(server, proxy.endpoint)

    begun = start_run(client, job)

    assert isinstance(begun, Err)
    assert isinstance(begun.error, Transient)
    assert 4 == len(asked(proxy, "/runs"))


def test_suppress_transient_asks_again_and_then_goes_on_with_a_warning(server, proxy, job, caplog):
    proxy.hook = busy("POST", "/runs")
    client = client_of(server, proxy.endpoint, error_strategy="suppress_transient")
    caplog.set_level(logging.WARNING, "datlake_sdk")

    begun = start_run(client, job, {"source": "s3"})

    assert isinstance(begun, Ok)
    assert 4 == len(asked(proxy, "/runs"))
    assert [f"starting a run of {job!r}: not now; it goes on without"] == [
        line.partition(" (")[0] + line.partition(")")[2] for line in caplog.messages
    ]
    proxy.hook = lambda _: None
    assert Ok(None) == complete_run(client, begun.value, success=True)
    run = run_of(server, begun.value.run_id)
    assert ("success", {"source": "s3"}) == (run["status"], run["metadata"])


def test_suppress_transient_lets_a_completion_pass(server, proxy, job):
    client = client_of(server, proxy.endpoint, error_strategy="suppress_transient")
    run = start_run(client, job).value
    proxy.hook = busy("PUT", "/complete")

    assert Ok(None) == complete_run(client, run, success=True)
    assert 4 == len(asked(proxy, "/complete"))


def test_suppress_transient_cannot_make_up_what_is_asked_for(server, proxy, table):
    table_of(server, table)
    proxy.hook = busy("GET", "/snapshots/latest")
    client = client_of(server, proxy.endpoint, error_strategy="suppress_transient")

    found = fetch_latest_uri(client, None, table)

    assert isinstance(found, Err)
    assert isinstance(found.error, Transient)


def test_suppress_transient_lets_a_job_run_without_the_registry(server, proxy, job):
    client = client_of(server, proxy.endpoint, error_strategy="suppress_transient")
    proxy.hook = lambda _: Script(reply=BUSY)

    with JobContext(client, job) as run:
        run.log_event("metrics", {"rows": 3})
        proxy.hook = lambda _: None

    assert "success" == run_of(server, run.run_id)["status"]


# --- DATLAKE_SDK_RETRY


@pytest.mark.parametrize(("retry", "times"), [("max=0", 1), ("max=2,base_ms=1", 3)])
def test_as_often_as_the_policy_says_it_is_asked_again(
    server, proxy, table, monkeypatch, retry, times
):
    monkeypatch.setenv("DATLAKE_SDK_RETRY", retry)
    proxy.hook = busy("GET", "/snapshots/latest")
    client = DatlakeClient(proxy.endpoint, server.admin_key)

    assert isinstance(fetch_latest_uri(client, None, table), Err)
    assert times == len(asked(proxy, "/latest"))
    assert times - 1 == client.policy.retry.max


def test_what_works_again_is_no_error(server, proxy, table):
    table_of(server, table)
    proxy.hook = busy("GET", "/snapshots/latest", 2)

    found = fetch_latest_uri(client_of(server, proxy.endpoint), None, table)

    assert isinstance(found, Ok)
    assert 3 == len(asked(proxy, "/latest"))


def test_a_registration_that_is_asked_for_again_is_done_once(server, proxy, table, job):
    lost = iter([True, True])
    proxy.hook = lambda one: (
        Script(is_lost=True) if one.path.endswith("register-snapshot") and next(lost, 0) else None
    )
    with JobContext(client_of(server, proxy.endpoint), job) as run:
        made = run.register_snapshot(table, server.object(b"id\n1\n"), format="csv")

    assert 3 == len(asked(proxy, "/register-snapshot"))
    found = server.ask("GET", f"/tables/{table}/snapshots")
    assert [made["snapshot_id"]] == [one["snapshot_id"] for one in found]


# --- DATLAKE_SDK_ON_ERROR


def test_log_only_is_a_warning_and_no_event(server, table, job, caplog):
    caplog.set_level(logging.WARNING, "datlake_sdk")
    client = client_of(server)
    run = start_run(client, job).value

    fetch_latest_uri(client, run, table)

    assert 1 == len(caplog.messages)
    assert ["run.started"] == [kind for kind, _ in events_of(server, job)]


def test_emit_event_tells_the_registry(server, table, job, monkeypatch):
    monkeypatch.setenv("DATLAKE_SDK_ON_ERROR", "emit_event")
    client = client_of(server)
    run = start_run(client, job).value

    found = fetch_latest_uri(client, run, table)

    assert isinstance(found, Err)
    _, (kind, told) = events_of(server, job)
    assert "custom.sdk.error" == kind
    assert {
        "operation": f"fetching the URI of {table!r}",
        "code": "not-found",
        "status": 404,
        "message": found.error.message,
        "request_id": found.error.request_id,
    } == told


def test_emit_event_in_a_job_tells_of_what_is_raised(server, table, job):
    client = client_of(server, on_error="emit_event")

    with pytest.raises(NotFound), JobContext(client, job) as run:
        run.get_table_latest_uri(table)

    kinds = [kind for kind, _ in events_of(server, job)]
    assert ["run.started", "custom.sdk.error", "run.completed"] == kinds


def test_an_event_about_a_run_that_nobody_knows_names_it(server, job):
    client = client_of(server, on_error="emit_event")
    before = client.publish("mark").seq
    unknown = Run(job, f"none-{uuid.uuid4().hex}")

    assert isinstance(complete_run(client, unknown, success=True), Err)

    event = next(client.follow(["custom.sdk.error"], since=before))
    assert unknown.run_id == event.data["run_id"]


def test_an_event_that_cannot_be_sent_changes_nothing(server, proxy, table, caplog):
    caplog.set_level(logging.WARNING, "datlake_sdk")
    client = client_of(server, proxy.endpoint, on_error="emit_event")
    proxy.hook = busy("POST", "/broadcast")

    found = fetch_latest_uri(client, None, table)

    assert isinstance(found, Err)
    assert isinstance(found.error, NotFound)
    assert "could not be published" in caplog.text


def test_raise_leaves_results_to_who_asks_for_them(server, table, caplog):
    caplog.set_level(logging.WARNING, "datlake_sdk")

    found = fetch_latest_uri(client_of(server, on_error="raise"), None, table)

    assert isinstance(found, Err)
    assert [] == caplog.messages


def test_raise_raises_what_a_job_would_only_warn_of(server, job, tmp_path):
    missing = tmp_path / "none.log"
    with JobContext(client_of(server), job, ship_logs=True, log_path=missing) as warned:
        pass

    with (
        pytest.raises(SDKError, match=r"none\.log"),
        JobContext(client_of(server, on_error="raise"), job, log_path=missing) as raised,
    ):
        pass

    for run in (warned, raised):
        assert "success" == run_of(server, run.run_id)["status"]


# --- senseless values


@pytest.mark.parametrize(
    "variable",
    ["DATLAKE_SDK_ERROR_STRATEGY", "DATLAKE_SDK_RETRY", "DATLAKE_SDK_ON_ERROR"],
)
def test_a_senseless_policy_is_refused_by_the_name_of_its_variable(monkeypatch, variable):
    monkeypatch.setenv(variable, "sometimes")

    for ask in (policy_from_env, DatlakeClient):
        with pytest.raises(SettingError, match=variable):
            ask()


def test_policies_may_be_in_the_file(nobodys_home, monkeypatch):
    file = nobodys_home / ".datlake" / "config.ini"
    file.parent.mkdir()
    file.write_text(
        "[datlake]\nerror_strategy = suppress_transient\non_error = emit_event\nretry = max=7\n"
    )

    policy = policy_from_env()

    assert policy.suppress_transient
    assert ("emit_event", 7) == (policy.on_error, policy.retry.max)
    monkeypatch.setenv("DATLAKE_SDK_ERROR_STRATEGY", "fail_fast")
    assert policy_from_env().fail_fast
    assert json.dumps({"on_error": policy.on_error})

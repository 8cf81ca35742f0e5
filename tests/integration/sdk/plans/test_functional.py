"""The plan's jobs as functions: its signatures are ours, and its programs run as printed."""

from __future__ import annotations

import dataclasses
import inspect
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import datlake_sdk.functional as ours
from datacachalog.domain.errors import AuthError
from datlake_sdk import DatlakeClient
from datlake_sdk.functional import Err, Ok, Result, SDKError, UriInfo
from tests.integration.sdk.plans.lake import Etl, run_block, tables_of, text_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.integration.sdk.plans.lake import Lake

COMBINATORS = ["map", "map_err", "and_then", "tee", "recover"]
OPERATIONS = [
    "start_run",
    "complete_run",
    "fetch_latest_uri",
    "register_snapshot",
    "upload_object",
    "make_log_artifact",
]
RECORDS = ["Run", "UriInfo", "SnapshotInfo", "Artifact"]


def plan() -> dict[str, Any]:
    """All that the plan defines before its examples; errors and results are ours."""
    names = run_block(text_of("functional/results") + text_of("functional/combinators"), {})
    names |= {"SDKError": SDKError}
    run_block(text_of("functional/types"), names)
    return run_block(text_of("functional/operations"), names)


PLAN = plan()


# --- what it defines


@pytest.mark.parametrize("name", [*COMBINATORS, *OPERATIONS])
def test_a_function_is_called_as_in_the_plan(name: str):
    """What ours has besides is by name, and may be left out."""
    wanted = inspect.signature(PLAN[name]).parameters
    found = inspect.signature(getattr(ours, name)).parameters
    more = [one for one in found.values() if one.name not in wanted]

    assert list(wanted) == [one for one in found if one in wanted]
    for one, its in wanted.items():
        assert (its.kind, its.default) == (found[one].kind, found[one].default)
    assert all(one.kind is one.KEYWORD_ONLY and one.default is not one.empty for one in more)


@pytest.mark.parametrize("name", RECORDS)
def test_a_record_has_the_fields_of_the_plan(name: str):
    assert fields_of(PLAN[name]) == fields_of(getattr(ours, name))


@pytest.mark.parametrize("name", ["Ok", "Err"])
def test_a_result_has_the_fields_of_the_plan(name: str):
    wanted, found = PLAN[name], getattr(ours, name)

    assert fields_of(wanted) == fields_of(found)
    assert found(1) == found(1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(found(1), fields_of(found)[0], 2)


@given(
    name=st.sampled_from(COMBINATORS),
    kinds=st.lists(st.sampled_from(["Ok", "Err"]), min_size=2, max_size=2),
    value=st.integers(),
)
def test_a_combinator_does_what_it_does_in_the_plan(name: str, kinds: list[str], value: int):
    """On every result, with functions that give every result; what they are told is the same."""

    def outcome(world: Callable[[str], Any]) -> tuple[str, Any, list[Any]]:
        told: list[Any] = []

        def f(given: Any) -> Any:
            told.append(given)
            made = str(given)
            return world(kinds[1])(made) if name in {"and_then", "recover"} else made

        result = world(name)(world(kinds[0])(value), f)
        return type(result).__name__, dataclasses.astuple(result), told

    assert outcome(lambda one: PLAN[one]) == outcome(lambda one: getattr(ours, one))


def fields_of(record: Any) -> list[str]:
    return [one.name for one in dataclasses.fields(record)]


# --- what it does


def pipeline(lake: Lake, key: str | None = None) -> str:
    address, secret = lake.server.base_url, key or lake.server.admin_key
    return text_of(
        "functional/pipeline",
        {"base_url=..., api_key=...": f"base_url={address!r}, api_key={secret!r}"},
    )


def users(lake: Lake, **instead: Any) -> dict[str, Any]:
    """The user's functions, and the names that the plan's program uses and does not import."""
    etl = Etl(lake, "users")
    return {
        "load_users": etl.read,
        "write_users_curated": etl.write,
        "Result": Result,
        "SDKError": SDKError,
        "UriInfo": UriInfo,
        **instead,
    }


def test_a_pipeline_reads_writes_and_completes(lake: Lake):
    names = run_block(pipeline(lake), users(lake))

    run, made = lake.run(names["r0"].value.run_id), lake.snapshot_id("users_curated")
    assert isinstance(names["r3"], Ok)
    assert made == names["r3"].value.snapshot_id
    assert ("daily_users", "success") == (run["job_name"], run["status"])
    assert {"source": "s3"} == run["metadata"]
    assert [("users_raw", lake.raw["users_raw"])] == tables_of(run["inputs"])
    assert [("users_curated", made)] == tables_of(run["outputs"])
    assert ("users_raw", "daily_users", run["run_id"]) in lake.edges("users_curated")
    assert ["run.started", "snapshot.committed", "run.completed"] == [
        event.type for event in lake.events(run["run_id"])
    ]


def test_the_users_own_error_is_the_result_and_the_runs(lake: Lake):
    failure = ValueError("a user without a name")

    def load_users(uri: str) -> None:
        raise failure

    names = run_block(pipeline(lake), users(lake, load_users=load_users))

    run = lake.run(names["r0"].value.run_id)
    assert isinstance(names["r3"], Err)
    assert failure is names["r3"].error.__cause__
    assert ("failed", str(names["r3"].error)) == (run["status"], run["error"])
    assert "a user without a name" in run["error"]
    assert [] == run["outputs"]


def test_an_error_on_the_way_is_the_result_and_the_runs(lake: Lake):
    names = run_block(pipeline(lake).replace("users_raw", "users_missing"), users(lake))

    run = lake.run(names["r0"].value.run_id)
    assert isinstance(names["r3"], Err)
    assert names["r1"] is names["r3"]
    assert (404, run["run_id"]) == (names["r3"].error.code, names["r3"].error.run_id)
    assert ("failed", str(names["r3"].error)) == (run["status"], run["error"])


def test_a_pipeline_that_cannot_begin_says_why(lake: Lake):
    with pytest.raises(AuthError) as caught:
        run_block(pipeline(lake, key="dlk_wrong"), users(lake))

    assert 401 == caught.value.code


def before_completion(text: str) -> str:
    return text.partition("# 5)")[0]


def test_a_log_is_shipped(lake: Lake, tmp_path: Path):
    """Instead of the last step of the pipeline, as both complete its run."""
    log = tmp_path / "run.log"
    log.write_bytes(b"all is well\n")
    names = run_block(before_completion(pipeline(lake)), users(lake))
    names |= {
        "ship_logs": True,
        "artifact_bucket": "objects",
        "make_log_artifact": ours.make_log_artifact,
    }

    run_block(text_of("functional/shipping", {"/var/log/app/run.log": str(log)}), names)

    run = lake.run(names["r0"].value.run_id)
    [artifact] = run["artifacts"]
    assert ("success", "log") == (run["status"], artifact["type"])
    assert artifact["uri"].endswith(f"/jobs/daily_users/{run['run_id']}/run.log")
    assert b"all is well\n" == lake.object(artifact["uri"])


def test_a_log_that_is_shipped_after_the_completion_is_the_runs_all_the_same(
    lake: Lake, tmp_path: Path
):
    """Both examples after each other, in one program."""
    log = tmp_path / "run.log"
    log.write_bytes(b"all is well\n")
    names = run_block(pipeline(lake), users(lake))
    names |= {
        "ship_logs": True,
        "artifact_bucket": "objects",
        "make_log_artifact": ours.make_log_artifact,
    }
    before = lake.run(names["r0"].value.run_id)

    run_block(text_of("functional/shipping", {"/var/log/app/run.log": str(log)}), names)

    artifact = {"type": "log", "uri": names["art"].value.uri}
    assert before | {"artifacts": [artifact]} == lake.run(names["r0"].value.run_id)
    assert b"all is well\n" == lake.object(names["art"].value.uri)


def test_a_log_that_is_not_there_does_not_fail_the_run(lake: Lake, tmp_path: Path):
    names = run_block(before_completion(pipeline(lake)), users(lake))
    names |= {
        "ship_logs": True,
        "artifact_bucket": "objects",
        "make_log_artifact": ours.make_log_artifact,
    }

    run_block(
        text_of("functional/shipping", {"/var/log/app/run.log": str(tmp_path / "none")}), names
    )

    run = lake.run(names["r0"].value.run_id)
    assert isinstance(names["art"], Err)
    assert ("success", []) == (run["status"], run["artifacts"])


def test_a_log_is_made_as_the_plan_makes_it(lake: Lake, tmp_path: Path):
    """The plan's own function, on top of ours."""
    log = tmp_path / "run.log"
    log.write_bytes(b"all is well\n")
    names = plan()
    names |= {"Ok": Ok, "upload_object": ours.upload_object, "Artifact": ours.Artifact}
    theirs = names["make_log_artifact"]
    run = ours.Run("daily_users", "a-run-of-this-test")

    first = theirs("objects", run, str(log))

    assert first == ours.make_log_artifact("objects", run, str(log))
    assert b"all is well\n" == lake.object(first.value.uri)


@pytest.mark.parametrize("is_asked", ["by the program", "by the client"])
def test_a_policy_goes_on_without_a_table(
    lake: Lake, is_asked: str, monkeypatch: pytest.MonkeyPatch
):
    """The client of an environment with this policy does what the plan's program does by hand."""
    monkeypatch.setenv("DATLAKE_SDK_ERROR_STRATEGY", "continue_on_not_found")
    client = lake.client if is_asked == "by the program" else DatlakeClient()
    run = ours.start_run(client, "policies").value
    names = {**vars(ours), "client": client, "run": run, "policy": ours.policy_from_env()}

    run_block(text_of("functional/policy").replace("users_raw", "users_missing"), names)

    assert Ok(UriInfo("users_missing", uri="", format="", schema=None)) == names["res"]
    assert Ok(None) == ours.complete_run(client, run, success=True)


def test_a_policy_fails_without_a_table(lake: Lake):
    run = ours.start_run(lake.client, "policies").value
    names = {**vars(ours), "client": lake.client, "run": run, "policy": ours.policy_from_env()}

    run_block(text_of("functional/policy").replace("users_raw", "users_missing"), names)

    assert 404 == names["res"].error.code
    assert Ok(None) == ours.complete_run(lake.client, run, success=False)


def test_a_policy_leaves_a_table_that_is_there(lake: Lake):
    run = ours.start_run(lake.client, "policies").value
    names = {**vars(ours), "client": lake.client, "run": run, "policy": ours.policy_from_env()}

    run_block(text_of("functional/policy"), names)

    assert names["res"].value.uri.startswith("s3://my-bucket/raw/users_raw")
    ours.complete_run(lake.client, run, success=True)

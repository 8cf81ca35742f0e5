"""The plan's jobs as with blocks, as they are printed; and what the registry knows of them then."""

from __future__ import annotations

import inspect
import os
from typing import TYPE_CHECKING, Any

import pytest

from datacachalog import DatacachalogError
from datacachalog.domain.errors import JobFailedError, NotFoundError
from datlake_sdk import DatlakeClient, JobContext
from tests.integration.sdk.plans.lake import USERS, Etl, run_block, tables_of, text_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.sdk.plans.lake import Lake

SCHEMA = {"fields": [{"name": "id", "type": "int64"}, {"name": "name", "type": "string"}]}


CALLS = [
    (DatlakeClient, "get_tables", ""),
    (DatlakeClient, "get_latest_snapshot_uri", "table_name"),
    (DatlakeClient, "get_table_uri", "table_name"),
    (DatlakeClient, "resolve_table_uri", "table_name"),
    (DatlakeClient, "register_snapshot", "table_name uri format schema"),
    (DatlakeClient, "upload_object", "bucket object_name file_path"),
    (JobContext, "start", "job_name metadata"),
    (JobContext, "log_event", "event_type data"),
    (JobContext, "get_table_latest_uri", "table_name"),
    (JobContext, "register_snapshot", "table_name uri format schema"),
    (JobContext, "complete", "success extra"),
    (JobContext, "attach_log", "filepath"),
]


def end_to_end(lake: Lake) -> str:
    known = {
        "https://api.datlake.local": lake.server.base_url,
        'api_key="..."': f'api_key="{lake.server.admin_key}"',
    }
    return text_of("lineage/end-to-end", known)


@pytest.mark.parametrize(("kind", "name", "wanted"), CALLS)
def test_what_the_plans_only_name_is_called_as_they_say(kind: type, name: str, wanted: str):
    """In this order, or by these names; what there is besides is by name, and may be left out."""
    _, *found = inspect.signature(getattr(kind, name)).parameters.values()
    more = found[len(wanted.split()) :]

    assert wanted.split() == [one.name for one in found if one not in more]
    assert all(one.kind is one.KEYWORD_ONLY and one.default is not one.empty for one in more)


def test_the_client_is_configured_by_the_environment(lake: Lake):
    names = run_block(text_of("lineage/client"), {"os": os})

    assert isinstance(names["client"], DatlakeClient)
    assert "admin" == names["client"].whoami().principal


def test_the_sketch_of_a_job_is_a_program(lake: Lake):
    """Its names are filled in, and the schema, which it leaves open."""
    etl = Etl(lake, "sketch")
    open_ends = {"schema=...": "schema=df_schema", "source_table": "users_raw"}

    names = run_block(
        text_of("lineage/sketch", open_ends),
        {
            "JobContext": JobContext,
            "job_name": "sketch",
            "metadata": {"source": "s3"},
            "read_data": etl.read,
            "write_data_and_get_uri": etl.write,
            "df_schema": SCHEMA,
        },
    )

    assert "success" == lake.run(names["job"].run_id)["status"]
    assert ("users_raw", "sketch", names["job"].run_id) in lake.edges("target_table")


def test_a_job_reads_writes_and_ships_its_log(lake: Lake):
    etl = Etl(lake, "sales")

    names = run_block(
        text_of("lineage/usage"),
        {
            "client": lake.client,
            "read_sales": etl.read,
            "write_sales_curated": etl.write,
            "df_schema": SCHEMA,
        },
    )

    run_id, made = names["job"].run_id, lake.snapshot_id("sales_curated")
    run = lake.run(run_id)
    assert ("daily_sales_etl", "success", None) == (run["job_name"], run["status"], run["error"])
    assert {"source": "s3"}.items() <= run["metadata"].items()
    assert [("sales_raw", lake.raw["sales_raw"])] == tables_of(run["inputs"])
    assert [("sales_curated", made)] == tables_of(run["outputs"])
    assert USERS["id"] == [row["id"] for row in lake.read(names["out_uri"])]
    assert {("sales_raw", "daily_sales_etl", run_id)} == lake.edges("sales_curated")
    [log] = run["artifacts"]
    assert "log" == log["type"]
    assert log["uri"].endswith(f"/jobs/daily_sales_etl/{run_id}/run.log")
    assert f"reading {names['src']}" in lake.object(log["uri"]).decode()


def test_what_happens_in_a_job_is_told_in_its_order(lake: Lake):
    etl = Etl(lake, "told")
    names = run_block(
        text_of("lineage/usage"),
        {
            "client": lake.client,
            "read_sales": etl.read,
            "write_sales_curated": etl.write,
            "df_schema": SCHEMA,
        },
    )

    events = lake.events(names["job"].run_id)

    assert ["run.started", "snapshot.committed", "custom.metrics", "run.completed"] == [
        event.type for event in events
    ]
    assert lake.snapshot_id("sales_curated") == events[1].data["snapshot_id"]
    assert {"rows": 3} == events[2].data


def test_a_log_file_is_shipped(lake: Lake, tmp_path: Path):
    log = tmp_path / "run.log"
    log.write_bytes(b"all is well\n")

    names = run_block(
        text_of("lineage/log", {"/var/log/app/run.log": str(log)}),
        {"client": lake.client, "JobContext": JobContext},
    )

    run = lake.run(names["job"].run_id)
    [artifact] = run["artifacts"]
    assert ("etl_users", "success") == (run["job_name"], run["status"])
    assert artifact["uri"].endswith(f"/jobs/etl_users/{run['run_id']}/run.log")
    assert b"all is well\n" == lake.object(artifact["uri"])


def test_from_end_to_end(lake: Lake):
    etl = Etl(lake, "users")

    names = run_block(end_to_end(lake), {"load_users": etl.read, "write_users_curated": etl.write})

    run = lake.run(names["job"].run_id)
    assert ("daily_users", "success") == (run["job_name"], run["status"])
    assert [("users_raw", lake.raw["users_raw"])] == tables_of(run["inputs"])
    assert [("users_curated", lake.snapshot_id("users_curated"))] == tables_of(run["outputs"])
    assert ["log"] == [one["type"] for one in run["artifacts"]]
    assert {"users": 3} in [event.data for event in lake.events(run["run_id"])]


def test_the_users_own_error_leaves_the_job_as_it_is(lake: Lake):
    failure = KeyError("no such column")

    def load_users(uri: str) -> None:
        raise failure

    names: dict[str, Any] = {"load_users": load_users}
    with pytest.raises(KeyError) as caught:
        run_block(end_to_end(lake), names)

    assert failure is caught.value
    assert (None, None) == (failure.__cause__, failure.__context__)
    assert [] == getattr(failure, "__notes__", [])
    run = lake.run(names["job"].run_id)
    assert ("failed", "KeyError: 'no such column'") == (run["status"], run["error"])
    assert [("users_raw", lake.raw["users_raw"])] == tables_of(run["inputs"])
    assert [] == run["outputs"]
    [log] = run["artifacts"]
    assert "no such column" in lake.object(log["uri"]).decode()


def test_ctrl_c_aborts_the_run(lake: Lake):
    def load_users(uri: str) -> None:
        raise KeyboardInterrupt

    names: dict[str, Any] = {"load_users": load_users}
    with pytest.raises(KeyboardInterrupt):
        run_block(end_to_end(lake), names)

    assert "aborted" == lake.run(names["job"].run_id)["status"]


def test_what_was_not_written_fails_the_run(lake: Lake):
    etl = Etl(lake, "none")
    names: dict[str, Any] = {
        "load_users": etl.read,
        "write_users_curated": lambda _: "s3://my-bucket/not/there.parquet",
    }

    with pytest.raises(JobFailedError) as caught:
        run_block(end_to_end(lake), names)

    run = lake.run(names["job"].run_id)
    assert "uri_not_found" == caught.value.code
    assert run["run_id"] == caught.value.run_id
    assert "failed" == run["status"]
    assert "there.parquet" in run["error"]


def test_a_table_that_is_not_there_fails_the_run(lake: Lake):
    etl = Etl(lake, "none")
    missing = end_to_end(lake).replace("users_raw", "users_missing")
    names: dict[str, Any] = {"load_users": etl.read, "write_users_curated": etl.write}

    with pytest.raises(NotFoundError) as caught:
        run_block(missing, names)

    assert caught.value.code == 404
    assert names["job"].run_id == caught.value.run_id
    assert isinstance(caught.value, DatacachalogError)
    assert "failed" == lake.run(names["job"].run_id)["status"]


def test_a_run_without_a_block_is_what_it_is_said_to_be(lake: Lake, tmp_path: Path):
    log = tmp_path / "of-a-part.log"
    log.write_bytes(b"a part is done\n")

    job = JobContext(lake.client).start("by_hand", {"source": "s3"})
    job.attach_log(str(log))
    made = job.register_snapshot("by_hand", lake.write("by_hand.parquet", USERS), "parquet", None)
    job.complete(success=False, extra={"error": "half of it is missing", "rows": 3})

    run = lake.run(job.run_id)
    assert {"table_name", "snapshot_id", "uri"} <= made.keys()
    assert ("by_hand", "failed", "half of it is missing") == (
        run["job_name"],
        run["status"],
        run["error"],
    )
    assert {"source": "s3", "rows": 3}.items() <= run["metadata"].items()
    assert [("by_hand", made["snapshot_id"])] == tables_of(run["outputs"])
    assert b"a part is done\n" == lake.object(run["artifacts"][0]["uri"])

"""The plan's code for tables that are read and registered without the catalog, as it is printed."""

from __future__ import annotations

import os
import subprocess
import sysconfig
from typing import TYPE_CHECKING

import pytest

from tests.integration.sdk.plans.lake import USERS, run_block, text_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.sdk.plans.lake import Lake


@pytest.fixture
def sales(lake: Lake, shared_sales: str) -> str:
    """The snapshot of `sales_q1`, of a file on this machine: DuckDB itself reads no other place."""
    return shared_sales


@pytest.fixture(scope="module")
def shared_sales(shared_lake: Lake) -> str:
    uri = shared_lake.server.object(b"region,amount\nnorth,10\nsouth,32\n", "sales/q1.csv")
    return shared_lake.server.registered("sales_q1", uri, "csv")


def test_a_table_is_read_by_its_uri(lake: Lake, sales: str, capsys: pytest.CaptureFixture[str]):
    names = run_block(text_of("detached/query"), {})

    assert sales == lake.snapshot_id("sales_q1")
    assert [["north", 10], ["south", 32]] == names["results"].to_numpy().tolist()
    assert "south" in capsys.readouterr().out


def test_a_script_reads_and_registers(lake: Lake, sales: str, tmp_path: Path):
    lake.write("uploads/new.parquet", {"id": [7]})

    done = typed(text_of("detached/commands"), tmp_path)

    assert 0 == done.returncode, done.stderr
    assert "region,amount\nnorth,10\nsouth,32\n" == (tmp_path / "local_copy.csv").read_text()
    job = lake.client.wait_for_job(done.stdout.split()[-1])
    assert "completed" == job.status
    new = lake.server.ask("GET", "/tables/new_data/snapshots/latest")
    assert ("s3://my-bucket/uploads/new.parquet", "parquet", 1) == (
        new["uri"],
        new["format"],
        new["row_count"],
    )


def test_a_table_in_a_bucket_is_read_by_its_uri(lake: Lake):
    """Nor does the plan's code change but for who reads it: DuckDB needs an extension for `s3://`."""
    changed = {"duckdb.query": "client.duckdb().query", "sales_q1": "users_raw"}

    names = run_block(text_of("detached/query", changed), {})

    assert USERS["name"] == names["results"]["name"].tolist()


def test_who_may_not_read_a_table_gets_no_uri(lake: Lake, sales: str, tmp_path: Path):
    nobody = lake.server.principal()

    done = typed("datalake-cli get-uri sales_q1", tmp_path, DATLAKE_API_KEY=nobody)

    assert (4, "") == (done.returncode, done.stdout)


def typed(script: str, folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    path = f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-ec", script],
        cwd=folder,
        env={**os.environ, "PATH": path, **more},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )

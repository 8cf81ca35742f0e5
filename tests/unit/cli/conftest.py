"""A folder with a catalog, which is the current one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from datacachalog.cli.main import run
from tests.unit.cli.support import Ran

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CATALOG_YAML = """\
version: 1
datasets:
  customers:
    source: data/customers.csv
    description: One row per customer
    tags: [crm, daily]
  sales:
    source: data/sales.csv
    freshness: 10m
    push: false
  gone:
    source: data/gone.csv
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: `customers` and `sales` can be fetched, `gone` is not there."""
    folder = tmp_path / "project"
    (folder / "data").mkdir(parents=True)
    (folder / "catalog.yaml").write_text(CATALOG_YAML)
    (folder / "data" / "customers.csv").write_text("id\n1\n2\n")
    (folder / "data" / "sales.csv").write_text("id,amount\n1,9.99\n")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("DATACACHALOG_CACHE_DIR", str(tmp_path / "cache"))
    return folder


@pytest.fixture
def catalog(capfd: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Runs a command in this process: `catalog("fetch", "customers")`."""

    def ran(*args: str) -> Ran:
        code = run(args)
        written = capfd.readouterr()
        return Ran(int(code), written.out, written.err)

    return ran

"""`catalog gc`, on files: each in a process of its own, as what is in use depends on that."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.unit.cli.support import ran


@pytest.fixture
def catalog():
    return ran


@pytest.fixture
def two(project, catalog):
    """The paths of an old and a new copy of `customers`."""
    old = Path(catalog("fetch", "customers").stdout.strip())
    (project / "data" / "customers.csv").write_text("id\n1\n2\n3\n")
    new = Path(catalog("fetch", "customers").stdout.strip())
    return old, new


def test_nothing_to_do_is_said(project, catalog):
    assert (0, "", "freed 0 B; 0 B stay\n") == catalog("gc")


def test_what_is_superseded_goes(two, catalog):
    old, new = two

    code, stdout, stderr = catalog("gc")

    assert (0, "freed 7 B; 9 B stay\n") == (code, stderr)
    assert [str(old), "7"] == stdout.split("\t")[:2]
    assert (False, True) == (old.exists(), new.exists())


def test_a_dry_run_only_shows_it(two, catalog):
    old, _ = two

    code, stdout, _ = catalog("gc", "--dry-run", "--json")

    found = json.loads(stdout)
    (removed,) = found.pop("removed")
    assert 0 == code
    assert {"dry_run": True, "swept_bytes": 0, "freed_bytes": 7, "kept_bytes": 9} == found
    assert (str(old), 7) == (removed["path"], removed["size_bytes"])
    assert removed["source"].endswith("/project/data/customers.csv")
    assert old.exists()


def test_what_was_not_used_for_long_goes(two, catalog):
    old, new = two
    os.utime(new.parent, (0, 0))

    catalog("gc", "--older-than", "30d")

    assert (True, False) == (old.exists(), new.exists())


def test_a_size_is_kept(two, catalog):
    old, new = two
    os.utime(new.parent, (0, 0))

    assert "freed 16 B; 0 B stay\n" == catalog("gc", "--max-size", "1B").stderr
    assert (False, False) == (old.exists(), new.exists())


def test_what_was_just_used_stays(two, catalog):
    _, new = two

    told = catalog("gc", "--max-size", "0").stderr

    assert new.exists()
    assert told.splitlines()[-1] == (
        "9 B are more than 0 B, as what is in use, or was within the last hour, stays"
    )


@pytest.mark.parametrize(
    ("option", "value", "problem"),
    [
        ("--older-than", "soon", "must be a duration such as 10m, not 'soon'"),
        ("--max-size", "much", "must be a size such as 500MB or 20GB, not 'much'"),
    ],
)
def test_a_wrong_value_is_told(project, catalog, option, value, problem):
    code, _, stderr = catalog("gc", option, value)

    assert 2 == code
    assert problem in stderr


def test_it_needs_no_catalog(tmp_path, monkeypatch, catalog):
    monkeypatch.chdir(tmp_path)

    assert 0 == catalog("--cache-dir", str(tmp_path / "cache"), "gc").code


def test_a_catalog_that_bounds_its_cache_keeps_to_it(project, two, catalog):
    old, new = two
    text = (project / "catalog.yaml").read_text()
    (project / "catalog.yaml").write_text(f"{text}\ncache:\n  max_size: 12B\n")
    (project / "data" / "customers.csv").write_text("id\n1\n2\n3\n4\n")

    code, stdout, stderr = catalog("fetch", "customers")

    assert 0 == code
    assert Path(stdout.strip()).exists()
    assert (False, False) == (old.exists(), new.exists())
    assert "warning" not in stderr


def test_a_bound_that_cannot_hold_is_told_in_our_words(project, catalog):
    text = (project / "catalog.yaml").read_text()
    (project / "catalog.yaml").write_text(f"{text}\ncache:\n  max_size: 1B\n")

    _, _, stderr = catalog("fetch", "customers")

    assert stderr.splitlines()[-1] == (
        "warning: the cache takes 7 B, more than max_size (1 B): all is in use"
    )


def test_all_that_one_command_prints_is_there(project, catalog):
    text = (project / "catalog.yaml").read_text()
    (project / "catalog.yaml").write_text(f"{text}\ncache:\n  max_size: 10B\n")

    paths = catalog("fetch", "customers", "sales").stdout.splitlines()

    assert [True, True] == [Path(path).exists() for path in paths]

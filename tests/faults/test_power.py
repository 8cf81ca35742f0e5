"""Power cuts: what they leave is found, and what is synced outlives them.

A machine cannot be cut off in a test. What it would leave is made by hand, and records are given
the boot of another day; the calls that are to keep it from happening are watched from outside.
"""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from datacachalog import Catalog, Dataset, Outcome
from datacachalog.adapters.cache.settling import this_boot
from datacachalog.testing.payloads import payload, seed_of
from tests.faults.shim import Fault, Kind
from tests.faults.support import assert_sound, leftovers, lose_the_end, start_anew

if TYPE_CHECKING:
    from tests.faults.shim import Ended

COMMAND = Path(sys.executable).parent / "catalog"
MOST = 50


@pytest.fixture(autouse=True)
def boots() -> None:
    if not this_boot():
        pytest.skip("this system tells no boot, so that nothing is lazy")


def watched(nursery, world, work="fetch", **options) -> Ended:
    """Runs a program and notes its calls; no fault is made."""
    ended: Ended = nursery.run(
        Fault(str(world.cache_dir), Kind.FAIL), work, **world.names, **options
    )
    assert "path" in ended.told, ended.told
    return ended


def durable_calls(ended: Ended, world) -> list[str]:
    """The syncs and renames below the cache that are about entries and refs."""
    found = []
    for call in ended.calls:
        operation, _, path = call.partition(" ")
        parts = list(Path(path).relative_to(world.cache_dir).parts) if path else []
        if operation in {"fsync", "rename"} and "pins" not in parts:
            if parts[1:2] == ["partial"]:
                parts[2] = "*"  # no name is used twice
            found.append(" ".join([operation, *parts]))
    return [call for call, _ in groupby(found)]  # a rename is tried again once there is a folder


def test_f05_a_copy_whose_end_was_lost_is_fetched_again_after_the_reboot(nursery, local):
    local.change(1)
    path = local.catalog().fetch("customers")
    lose_the_end(path)
    start_anew(local.cache_dir)

    ended = watched(nursery, local)

    assert "downloaded" == ended.told["outcome"]
    assert 1 == seed_of(Path(ended.told["path"]).read_bytes())
    assert_sound(local.cache_dir, 1)
    local.catalog().fetch("customers")
    assert [] == leftovers(local.cache_dir)


def test_f05_what_is_whole_is_read_once_after_the_reboot(nursery, local):
    """A program that looks again reads no byte: it opens the record, and not the file."""
    local.change(1)
    path = local.catalog().fetch("customers")
    start_anew(local.cache_dir)

    opened = [
        [call for call in watched(nursery, local).calls if call == f"open {path}"] for _ in range(2)
    ]

    assert [1, 0] == [len(calls) for calls in opened]


def test_f05_the_command_fetches_it_again_too(local):
    local.change(1)
    text = (
        f"version: 1\ncache: {{dir: cache}}\ndatasets: {{customers: {{source: {local.source}}}}}\n"
    )
    (local.folder / "catalog.yaml").write_text(text)
    path = local.catalog().fetch("customers")
    lose_the_end(path)
    start_anew(local.cache_dir)

    done = subprocess.run(
        [COMMAND, "fetch", "customers", "--json"],
        cwd=local.folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert str(path) in done.stdout
    assert 1 == seed_of(path.read_bytes())


def test_f05_a_copy_of_a_layer_whose_end_was_lost_comes_into_the_cache_above(local):
    local.change(1)
    below = local.catalog().fetch("customers")
    lose_the_end(below)
    start_anew(local.cache_dir)
    above = Catalog(
        [Dataset("customers", local.source)],
        cache_dir=local.folder / "above",
        cache_layers=[local.cache_dir],
    )

    found = above.obtain("customers")

    assert (Outcome.DOWNLOADED, 1) == (found.outcome, seed_of(found.path.read_bytes()))
    assert found.path != below


def test_f05_an_empty_reference_is_as_if_there_were_none(local):
    local.change(1)
    local.catalog().fetch("customers")
    (ref,) = (local.cache_dir / "v1" / "refs").iterdir()
    os.truncate(ref, 0)

    assert 1 == seed_of(local.catalog().fetch("customers").read_bytes())
    assert_sound(local.cache_dir, 1)
    assert json.loads(ref.read_text())["format"] == 1


@pytest.mark.parametrize("work", ["fetch", "push"])
def test_f05_strict_syncs_bytes_before_names_and_names_before_they_are_told(
    nursery, local, monkeypatch, work
):
    monkeypatch.setenv("DATACACHALOG_DURABILITY", "strict")
    local.change(1)
    local.file.write_bytes(payload(2, local.size_bytes))
    options = {}
    if work == "push":
        watched(nursery, local)
        options["file"] = str(local.file)

    ended = watched(nursery, local, work, **options)

    entry = Path(ended.told["path"]).parent
    key = entry.parent.name
    assert durable_calls(ended, local) == [
        "fsync v1 partial * customers.csv",
        "fsync v1 partial * .entry.json",
        "fsync v1 partial *",
        f"rename v1 objects {key} {entry.name}",
        f"fsync v1 objects {key}",
        "fsync v1 objects",
        "fsync v1",
        "fsync",
        "fsync v1 partial *",
        f"rename v1 refs {key}.json",
        "fsync v1 refs",
    ]


@pytest.mark.parametrize("policy", ["lazy", "none"])
def test_f05_the_others_sync_nothing(nursery, local, monkeypatch, policy):
    monkeypatch.setenv("DATACACHALOG_DURABILITY", policy)
    local.change(1)

    assert "fsync" not in watched(nursery, local).operations


def test_f05_what_strict_cannot_sync_is_not_handed_out(nursery, local, monkeypatch):
    monkeypatch.setenv("DATACACHALOG_DURABILITY", "strict")
    local.change(1)

    for at in range(1, MOST):
        with local.copied():
            fault = Fault(str(local.cache_dir), Kind.FAIL, at, errno.EIO, "fsync")
            ended = nursery.run(fault, "fetch", **local.names)
            if len(ended.calls) < at:
                break
            assert "cache" == ended.told.get("error"), (at, ended.told)
            assert_sound(local.cache_dir, 1)
            assert 1 == seed_of(local.catalog().fetch("customers").read_bytes())
            assert [] == leftovers(local.cache_dir), at
    assert at > 8


def test_f05_one_that_is_killed_as_it_settles_a_copy_leaves_it_whole(nursery, local, tmp_path):
    local.change(1)
    local.catalog().fetch("customers")
    start_anew(local.cache_dir)
    kept = local.cache_dir.rename(tmp_path / "kept")

    for kind in (Kind.KILL, Kind.TORN):
        for at in range(1, MOST):
            with local.copied(kept):
                ended = nursery.run(Fault(str(local.cache_dir), kind, at), "fetch", **local.names)
                assert_sound(local.cache_dir, 1)
                found = local.catalog().obtain("customers")
                assert Outcome.DOWNLOADED is not found.outcome
            if len(ended.calls) < at:
                break
        assert at > 3

"""A catalog's life on a real S3 server: fetch, change, push, versions, and what each one costs."""

from __future__ import annotations

import gzip
import subprocess
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from datacachalog import (
    Catalog,
    ConflictError,
    Dataset,
    ObjectNotFoundError,
    Outcome,
    State,
    VersionNotFoundError,
)
from datacachalog.adapters.storage.transfer import PART_BYTES
from datacachalog.testing.payloads import payload, seed_of
from tests.integration.support import BIG, SMALL

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tests.integration.support import Remote
    from tests.servers.moto import MotoServer


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A local file that is to be pushed: payload 9."""
    path = tmp_path / "new.parquet"
    path.write_bytes(payload(9, SMALL))
    return path


@pytest.mark.parametrize("size_bytes", [0, 1, SMALL, PART_BYTES, PART_BYTES + 1, BIG])
def test_a_fetched_file_holds_the_objects_bytes(remote, catalog, size_bytes):
    remote.put(1, size_bytes)

    path = catalog.fetch("customers")

    assert ("customers.parquet", payload(1, size_bytes)) == (path.name, path.read_bytes())


@pytest.mark.parametrize("size_bytes", [SMALL, BIG])
def test_a_changed_object_gets_a_new_path_and_the_old_path_keeps_the_old_bytes(
    remote, catalog, size_bytes
):
    remote.put(1, size_bytes)
    old = catalog.fetch("customers")
    remote.put(2, size_bytes)

    assert [State.STALE] == [status.state for status in catalog.status()]
    assert catalog.is_stale("customers")
    new = catalog.fetch("customers")

    assert old != new
    assert [1, 2] == [seed_of(path.read_bytes()) for path in (old, new)]
    assert [State.CURRENT] == [status.state for status in catalog.status()]


def test_a_deleted_object_is_not_found_and_its_path_stays_readable(remote, catalog):
    remote.put(1)
    path = catalog.fetch("customers")
    remote.client.delete_object(Bucket=remote.bucket, Key=remote.key)

    with pytest.raises(ObjectNotFoundError):
        catalog.fetch("customers")

    assert 1 == seed_of(path.read_bytes())


@pytest.mark.parametrize("size_bytes", [SMALL, BIG])
def test_a_fetch_after_a_push_moves_no_bytes(remote, catalog, file, size_bytes):
    file.write_bytes(payload(9, size_bytes))
    pushed = catalog.push("customers", file)

    with remote.proxy.counted() as passed:
        fetched = catalog.obtain("customers")

    assert (pushed.path, Outcome.UNCHANGED) == (fetched.path, fetched.outcome)
    assert (["GET"], 0) == (passed.methods, passed.bytes_down)
    assert payload(9, size_bytes) == fetched.path.read_bytes() == remote.read()


@pytest.mark.parametrize("size_bytes", [SMALL, BIG])
def test_a_push_over_somebody_elses_change_is_refused(remote, catalog, file, size_bytes):
    file.write_bytes(payload(9, size_bytes))
    remote.put(1)
    catalog.fetch("customers")
    remote.put(2)
    theirs = remote.etag()

    with pytest.raises(ConflictError):
        catalog.push("customers", file)

    assert (2, theirs, [remote.key]) == (remote.seed(), remote.etag(), remote.keys())
    assert 2 == seed_of(catalog.fetch("customers").read_bytes())


def test_the_command_refuses_it_with_exit_code_5(remote, cache_dir, tmp_path, file):
    remote.put(1)
    (tmp_path / "catalog.yaml").write_text(
        f"version: 1\ndatasets:\n  customers: {{source: '{remote.source}'}}\n"
    )

    def run(*args: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "datacachalog", "--catalog", tmp_path]
        return subprocess.run(
            [*map(str, [*command, "--cache-dir", cache_dir, *args])],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    assert 0 == run("fetch", "customers").returncode
    remote.put(2)
    status = run("status", "customers").stdout
    refused = run("push", "customers", file).returncode

    assert ("stale" in status, 5, 2) == (True, refused, remote.seed())


def test_the_first_push_expects_nothing_there(remote, catalog, file):
    remote.put(1)

    with pytest.raises(ConflictError):
        catalog.push("customers", file)
    catalog.push("customers", file, expect="any")

    assert 9 == remote.seed()


@pytest.mark.parametrize("size_bytes", [SMALL, BIG])
def test_what_was_pushed_is_never_taken_for_what_somebody_else_pushed_just_after(
    remote, catalog, file, size_bytes
):
    """As long as ours, and before we could look at what our upload had made."""
    file.write_bytes(payload(9, size_bytes))
    uploaded: list[str] = []

    def overwrite(exchange):
        is_ours = remote.key in exchange.path and "uploadId" not in exchange.path
        if uploaded and is_ours and exchange.method in {"GET", "HEAD"}:
            remote.put(2, size_bytes)
            uploaded.clear()
        if (is_ours and exchange.method == "PUT") or "uploadId" in exchange.path:
            uploaded.append(exchange.path)

    remote.proxy.hook = overwrite
    pushed = catalog.push("customers", file, expect="any")
    remote.proxy.hook = lambda _: None
    remote.put(2, size_bytes)
    fetched = catalog.fetch("customers")

    assert [9, 2] == [seed_of(path.read_bytes()) for path in (pushed.path, fetched)]


@pytest.fixture
def version_ids(versioned: Remote) -> list[str]:
    """The ids of payloads 0, 1 and 2, which were put one after another, a second apart."""
    ids = []
    for seed in range(3):
        if seed:
            time.sleep(1.1)  # SeaweedFS tells the time of a version in whole seconds
        versioned.put(seed)
        ids.append(versioned.client.head_object(Bucket=versioned.bucket, Key=versioned.key))
    return [each["VersionId"] for each in ids]


def test_old_versions_come_by_id_and_by_time(versioned, catalog, version_ids):
    versions = catalog.versions("customers")

    assert version_ids == [info.version for info in reversed(versions)]
    for seed, info in enumerate(reversed(versions)):
        by_id = catalog.fetch("customers", version=info.version)
        by_time = catalog.fetch("customers", as_of=info.last_modified)
        assert (seed, by_id) == (seed_of(by_id.read_bytes()), by_time)
    assert 2 == seed_of(catalog.fetch("customers").read_bytes())


def test_an_old_version_is_fetched_once(versioned, catalog, version_ids):
    catalog.fetch("customers", version=version_ids[0])

    with versioned.proxy.counted() as passed:
        fetched = catalog.obtain("customers", version=version_ids[0])

    assert ([], Outcome.CACHED) == (passed.requests, fetched.outcome)


def test_a_big_old_version_is_fetched_in_parts_of_that_version(versioned, catalog):
    versioned.put(1, BIG)
    old = versioned.client.head_object(Bucket=versioned.bucket, Key=versioned.key)["VersionId"]
    versioned.put(2, BIG)

    assert 1 == seed_of(catalog.fetch("customers", version=old).read_bytes())


def test_nothing_was_there_before_the_first_version_or_while_it_was_deleted(versioned, catalog):
    before = datetime(2024, 2, 29, tzinfo=UTC)
    versioned.put(1)
    time.sleep(1.1)
    versioned.client.delete_object(Bucket=versioned.bucket, Key=versioned.key)
    deleted, written = catalog.versions("customers")

    for moment in (before, deleted.last_modified):
        with pytest.raises(VersionNotFoundError):
            catalog.fetch("customers", as_of=moment)
    assert 1 == seed_of(catalog.fetch("customers", as_of=written.last_modified).read_bytes())


def test_an_unversioned_bucket_has_one_version(remote, catalog):
    remote.put(1)
    remote.put(2)

    (version,) = catalog.versions("customers")
    path = catalog.fetch("customers", as_of=version.last_modified)

    assert (None, 2) == (version.version, seed_of(path.read_bytes()))


def test_two_buckets_with_the_same_key_never_mix(remote, cache_dir):
    other = remote.server.bucket()
    remote.put(1)
    remote.client.put_object(Bucket=other, Key=remote.key, Body=payload(2, SMALL))
    catalog = Catalog(
        [Dataset("ours", remote.source), Dataset("theirs", f"s3://{other}/{remote.key}")],
        cache_dir=cache_dir,
    )

    for _ in range(2):
        assert [1, 2] == [seed_of(path.read_bytes()) for path in catalog.fetch_all().values()]


def test_two_servers_with_the_same_bucket_and_key_never_mix(
    remote, cache_dir, moto_s3: MotoServer, use_environment: Callable[[Mapping[str, str]], None]
):
    """Not even where the bytes, and so the entity tags, are the same."""
    moto = moto_s3.client()
    moto.create_bucket(Bucket=remote.bucket)
    remote.put(1)
    ours = remote.catalog(cache_dir)
    use_environment(moto_s3.environment())
    theirs = remote.catalog(cache_dir)

    moto.put_object(Bucket=remote.bucket, Key=remote.key, Body=payload(1, SMALL))
    same = [catalog.fetch("customers") for catalog in (ours, theirs)]
    moto.put_object(Bucket=remote.bucket, Key=remote.key, Body=payload(2, SMALL))
    different = [catalog.fetch("customers") for catalog in (ours, theirs)]
    moto.close()

    assert same[0] != same[1]
    assert [1, 2] == [seed_of(path.read_bytes()) for path in different]


def test_a_cold_small_object_costs_one_request(remote, catalog):
    remote.put(1)

    with remote.proxy.counted() as passed:
        catalog.fetch("customers")

    assert (["GET"], SMALL) == (passed.methods, passed.bytes_down)


@pytest.mark.parametrize("size_bytes", [SMALL, BIG])
def test_a_warm_revalidation_costs_one_request_without_a_body(remote, catalog, size_bytes):
    remote.put(1, size_bytes)
    catalog.fetch("customers")

    with remote.proxy.counted() as passed:
        catalog.fetch("customers")

    assert [("GET", 304, 0)] == [(r.method, r.status, r.bytes_down) for r in passed.requests]


@pytest.mark.parametrize("freshness", ["1h", "never"])
def test_a_warm_fetch_that_need_not_ask_costs_no_request(remote, cache_dir, freshness):
    remote.put(1)
    datasets = [Dataset("customers", remote.source, freshness=freshness)]
    Catalog(datasets, cache_dir=cache_dir).fetch("customers")

    with remote.proxy.counted() as passed:
        fetched = Catalog(datasets, cache_dir=cache_dir).obtain("customers")

    assert ([], Outcome.CACHED) == (passed.requests, fetched.outcome)


def test_a_cold_big_object_costs_its_parts_and_one_question_for_its_checksum(remote, catalog):
    remote.put(1, BIG)

    with remote.proxy.counted() as passed:
        catalog.fetch("customers")

    parts = -(-BIG // PART_BYTES)
    first, *others = [(r.method, r.status, "if-match" in r.headers) for r in passed.requests]
    assert ("GET", 206, False) == first
    assert [("GET", 206, True)] * (parts - 1) + [("HEAD", 200, True)] == sorted(others)
    assert BIG == passed.bytes_down


def test_a_push_costs_an_upload_and_a_look_at_it(remote, catalog, file):
    """The first one to a server also costs the proof that conditions are honoured there."""
    with remote.proxy.counted() as first:
        catalog.push("customers", file)
    with remote.proxy.counted() as second:
        catalog.push("customers", file)

    assert len(first.requests) <= 14
    assert first.bytes_up < SMALL + 1000
    assert (["PUT", "HEAD"][: len(second.requests)], SMALL) == (second.methods, second.bytes_up)


def test_status_costs_one_request_a_dataset(remote, catalog):
    remote.put(1, BIG)
    catalog.fetch("customers")

    with remote.proxy.counted() as passed:
        catalog.status()

    assert (1, 0) == (len(passed.requests), passed.bytes_down)


def test_fetching_200_small_objects_costs_200_requests(remote, cache_dir):
    names = [f"table-{number}" for number in range(200)]
    for number, name in enumerate(names):
        remote.client.put_object(Bucket=remote.bucket, Key=name, Body=payload(number, 1000))
    catalog = Catalog(
        [Dataset(name, f"s3://{remote.bucket}/{name}") for name in names], cache_dir=cache_dir
    )

    with remote.proxy.counted() as cold:
        paths = catalog.fetch_all()
    with remote.proxy.counted() as warm:
        catalog.fetch_all()

    assert list(range(200)) == [seed_of(path.read_bytes()) for path in paths.values()]
    assert (["GET"] * 200, 200_000) == (cold.methods, cold.bytes_down)
    assert (["GET"] * 200, 0) == (warm.methods, warm.bytes_down)


def test_text_that_a_server_compresses_arrives_as_it_was_written(remote, cache_dir):
    """SeaweedFS keeps text compressed, and has to find the parts of it all the same."""
    lines = b"".join(b"%d,name-%d\n" % (number, number) for number in range(1_000_000))
    remote.key = "tables/customers.csv"
    remote.client.put_object(
        Bucket=remote.bucket, Key=remote.key, Body=lines, ContentType="text/csv"
    )

    assert lines == remote.catalog(cache_dir).fetch("customers").read_bytes()


def test_an_encoded_object_is_not_decoded(remote, cache_dir, catalog):
    encoded = gzip.compress(b"id,name\n" * 1000)
    remote.client.put_object(
        Bucket=remote.bucket, Key=remote.key, Body=encoded, ContentEncoding="gzip"
    )

    assert encoded == catalog.fetch("customers").read_bytes()

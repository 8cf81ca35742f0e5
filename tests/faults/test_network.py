"""Connections and servers that fail in ways that `tests/integration` has not tried yet."""

from __future__ import annotations

import random
import time
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pytest

from datacachalog import (
    Catalog,
    DatacachalogError,
    Dataset,
    IntegrityError,
    Outcome,
    StorageAccessError,
    StorageUnavailableError,
)
from datacachalog.adapters.storage import comparing, object_store, s3, signed_head
from datacachalog.adapters.storage.transfer import PART_BYTES
from datacachalog.domain.checksum import Checksum
from datacachalog.testing.payloads import digest_of, payload, seed_of
from tests.faults.support import SMALL, TWO_PARTS, leftovers
from tests.integration.support import once, peak_memory_bytes
from tests.servers.exchange import Reply, Script

if TYPE_CHECKING:
    from tests.servers.exchange import Exchange

XML = {"Content-Type": "application/xml"}


@pytest.fixture(params=[SMALL, TWO_PARTS], ids=["small", "two-parts"])
def size_bytes(request: pytest.FixtureRequest) -> int:
    size: int = request.param
    return size


@pytest.fixture(params=[True, False], ids=["obstore", "boto3"])
def plane(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a fork of a process that used obstore, boto3 does its work."""
    if not request.param:
        monkeypatch.setattr(s3, "survives_here", lambda: False)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence is heard after six seconds rather than thirty; a busy machine is silent for less."""
    monkeypatch.setitem(object_store._CLIENT, "read_timeout", "6s")


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store's checksum is waited for as long as a busy machine takes to tell it."""
    monkeypatch.setattr(comparing, "_PATIENCE_S", 60.0)
    monkeypatch.setattr(signed_head, "_TIMEOUT_S", 60.0)


@pytest.mark.usefixtures("plane")
def test_f13_a_connection_that_is_reset_anywhere(remote, cache_dir, size_bytes, whole):
    remote.put(1, size_bytes)
    chance = random.Random(13)
    for turn in range(40 if whole else 8):
        at = chance.choice([0, 1, chance.randrange(SMALL), SMALL - 1])
        remote.proxy.hook = once(partial(_reset, at))
        with remote.proxy.counted() as passed:
            path = remote.catalog(cache_dir / str(turn)).fetch("customers")

        assert 1 == seed_of(path.read_bytes())
        assert passed.bytes_down <= size_bytes + at


def _reset(at: int, _: Exchange) -> Script:
    return Script(cut_after=at, resets=True)


@pytest.mark.usefixtures("impatient")
def test_f14_a_connection_that_falls_silent_is_made_again(remote, catalog, size_bytes):
    remote.put(1, size_bytes)
    remote.proxy.hook = once(lambda _: Script(cut_after=50_000, stalls=True))

    begun = time.monotonic()
    assert 1 == seed_of(catalog.fetch("customers").read_bytes())

    assert 6 <= time.monotonic() - begun < 60
    assert remote.proxy.bytes_down == size_bytes


@pytest.mark.usefixtures("impatient")
def test_f14_connections_that_all_fall_silent_end_in_an_error(remote, catalog, cache_dir):
    remote.put(1)
    remote.proxy.hook = lambda _: Script(cut_after=1000, stalls=True)

    begun = time.monotonic()
    with pytest.raises(StorageUnavailableError):
        catalog.fetch("customers")

    assert time.monotonic() - begun < 60
    assert [] == leftovers(cache_dir)


def test_f15_a_transfer_that_drips_is_not_cut(remote, catalog, whole, monkeypatch):
    """Some bytes come within every limit of silence, the whole takes longer than one."""
    seconds = 45 if whole else 9
    if not whole:
        monkeypatch.setitem(object_store._CLIENT, "read_timeout", "6s")
    remote.put(1)
    remote.proxy.hook = lambda _: Script(bytes_per_s=SMALL / seconds)

    begun = time.monotonic()
    assert 1 == seed_of(catalog.fetch("customers").read_bytes())

    assert time.monotonic() - begun > seconds - 1
    assert 1 == len(remote.proxy.requests)


@pytest.mark.usefixtures("plane")
@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("pause", ["1", "86400", "Wed, 21 Oct 2099 07:28:00 GMT", "soon"])
def test_f18_a_server_that_asks_for_a_pause_is_not_waited_for_for_ever(
    remote, catalog, status, pause
):
    remote.put(1)
    body = b"<Error><Code>SlowDown</Code><Message>Slow down.</Message></Error>"
    refusal = Reply(status, body, {"Retry-After": pause, **XML})
    remote.proxy.hook = once(lambda _: Script(reply=refusal))

    begun = time.monotonic()
    assert 1 == seed_of(catalog.fetch("customers").read_bytes())

    assert time.monotonic() - begun < 60


@pytest.mark.usefixtures("plane")
def test_f20_a_clock_that_is_wrong_is_named(remote, catalog):
    remote.put(1)
    body = (
        b"<Error><Code>RequestTimeTooSkewed</Code><Message>The difference between the request "
        b"time and the current time is too large.</Message></Error>"
    )
    remote.proxy.hook = lambda _: Script(reply=Reply(403, body, XML))

    with pytest.raises(StorageAccessError, match="RequestTimeTooSkewed: The difference"):
        catalog.fetch("customers")


@pytest.mark.usefixtures("plane")
@pytest.mark.parametrize("more", [-1000, 1000])
def test_f26_a_body_of_another_length_than_it_says(remote, catalog, cache_dir, more):
    remote.put(1)
    data = payload(1, SMALL)
    body = data[:more] if more < 0 else data + bytes(more)
    headers = {
        "Content-Length": str(SMALL),
        "Content-Range": f"bytes 0-{SMALL - 1}/{SMALL}",
        "ETag": remote.etag(),
        "Last-Modified": "Wed, 21 Oct 2015 07:28:00 GMT",
        "Connection": "close",
    }
    remote.proxy.hook = once(lambda _: Script(reply=Reply(206, body, headers)))

    try:
        assert 1 == seed_of(catalog.fetch("customers").read_bytes())
    except StorageUnavailableError:
        assert [] == leftovers(cache_dir)


@pytest.mark.parametrize("at", [0, SMALL // 2, SMALL - 1])
def test_f27_a_bit_that_is_another_is_seen_by_a_declared_checksum(remote, cache_dir, at):
    remote.put(1)
    checksum = Checksum("blake3", digest_of(payload(1, SMALL)))
    catalog = Catalog(
        [replace(Dataset("customers", remote.source), checksum=checksum)], cache_dir=cache_dir
    )
    remote.proxy.hook = lambda _: Script(flips=at)

    with pytest.raises(IntegrityError):
        catalog.fetch("customers")

    assert [] == leftovers(cache_dir)
    remote.proxy.hook = lambda _: None
    assert 1 == seed_of(catalog.fetch("customers").read_bytes())


@pytest.mark.usefixtures("plane", "patient")
@pytest.mark.parametrize("at", [0, PART_BYTES - 1, PART_BYTES, TWO_PARTS - 1])
def test_f27_a_bit_that_is_another_is_seen_by_the_stores_checksum(remote, catalog, cache_dir, at):
    """The store has one of the whole object, as S3 of all that is uploaded today."""
    remote.client.put_object(
        Bucket=remote.bucket,
        Key=remote.key,
        Body=payload(1, TWO_PARTS),
        ChecksumAlgorithm="SHA256",
    )
    part = at - at % PART_BYTES
    remote.proxy.hook = lambda one: (
        Script(flips=at - part) if f"bytes={part}-" in one.headers.get("range", "") else None
    )

    with pytest.raises(IntegrityError, match="the store has"):
        catalog.fetch("customers")

    assert [] == leftovers(cache_dir)
    remote.proxy.hook = lambda _: None
    assert 1 == seed_of(catalog.fetch("customers").read_bytes())


@pytest.mark.usefixtures("plane")
def test_f29_tags_that_change_with_every_request_end_in_few_of_them(remote, catalog):
    remote.put(1)
    numbers = iter(range(1000))
    remote.proxy.hook = lambda _: Script(headers={"ETag": f'"{next(numbers)}"'})

    for _ in range(3):
        assert 1 == seed_of(catalog.fetch("customers").read_bytes())

    assert len(remote.proxy.requests) <= 6


@pytest.mark.usefixtures("plane")
def test_f30_an_object_that_becomes_empty_and_goes_leaves_the_former_copies(remote, catalog):
    remote.put(1)
    first = catalog.fetch("customers")
    remote.put_bytes(b"")
    second = catalog.fetch("customers")
    remote.client.delete_object(Bucket=remote.bucket, Key=remote.key)

    with pytest.raises(Exception, match=remote.key):
        catalog.fetch("customers")

    assert (1, b"") == (seed_of(first.read_bytes()), second.read_bytes())


def test_f42_a_server_whose_clock_is_a_year_off(remote, catalog):
    """What it says of times is shown; what is current is told by tags."""
    remote.put(1)
    dates = iter(["Mon, 21 Oct 2075 07:28:00 GMT", "Wed, 21 Oct 2015 07:28:00 GMT"] * 9)
    remote.proxy.hook = lambda _: Script(headers={"Date": next(dates)})
    first, again = catalog.obtain("customers"), catalog.obtain("customers")
    remote.put(2)

    assert (first.path, Outcome.UNCHANGED) == (again.path, again.outcome)
    assert 2 == seed_of(catalog.fetch("customers").read_bytes())


def test_f38_a_slow_fetch_does_not_bring_back_what_a_later_one_replaced(remote, cache_dir):
    """Without the lock that makes the second one wait, as on a file system that has none."""
    remote.put(1)
    slow = remote.catalog(cache_dir)

    def change(exchange: Exchange) -> Script:
        remote.proxy.hook = lambda _: None
        later = remote.catalog(cache_dir)
        later._fetching._cache.alone = lambda *_: nullcontext(False)
        remote.put(2)
        time.sleep(0.05)
        assert 2 == seed_of(later.fetch("customers").read_bytes())
        return Script(reply=first)

    data = payload(1, SMALL)
    first = Reply(
        206,
        data,
        {
            "Content-Range": f"bytes 0-{SMALL - 1}/{SMALL}",
            "ETag": remote.etag(),
            "Last-Modified": "Wed, 21 Oct 2015 07:28:00 GMT",
        },
    )
    remote.proxy.hook = change

    assert 1 == seed_of(slow.fetch("customers").read_bytes())  # as it was when it asked

    catalog = remote.catalog(cache_dir)
    entry = catalog.cache.current(catalog.storage.identity(remote.uri), remote.uri)
    assert 2 == seed_of(entry.path.read_bytes())


@pytest.mark.usefixtures("plane")
@pytest.mark.parametrize("claimed", [10 << 40, (1 << 63) - 1])
def test_t16_a_server_that_claims_an_object_without_end(remote, cache_dir, claimed):
    """Neither memory nor the disk is taken for what has not come."""
    remote.put(1, TWO_PARTS)
    remote.proxy.hook = lambda exchange: _claiming(exchange, claimed)
    catalog = remote.catalog(cache_dir)
    before = peak_memory_bytes()

    with pytest.raises(DatacachalogError):
        catalog.fetch("customers")

    assert peak_memory_bytes() - before < 100 << 20
    assert [] == leftovers(cache_dir)


def _claiming(exchange: Exchange, size_bytes: int) -> Script:
    first, _, last = exchange.headers["range"].removeprefix("bytes=").partition("-")
    end = min(int(last), TWO_PARTS - 1)
    return Script(headers={"Content-Range": f"bytes {first}-{end}/{size_bytes}"})

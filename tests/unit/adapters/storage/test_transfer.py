"""A finished file holds the bytes of exactly one revision, whatever the server sends."""

from __future__ import annotations

import errno
import os
import threading
from dataclasses import replace

import pytest

from datacachalog.adapters.storage import transfer as engine
from datacachalog.adapters.storage.transfer import PART_BYTES, ObjectChangedError, transfer
from datacachalog.domain.errors import CacheError, CacheFullError, StorageUnavailableError
from datacachalog.domain.objects import NOT_MODIFIED
from datacachalog.ports import SILENT
from datacachalog.testing.payloads import RecordedTransfer, at_once, digest_of
from tests.unit.adapters.storage.parts import (
    DATA,
    DOWN,
    SIZE,
    STARTS,
    FakeSource,
    nothing_is_kept,
    refused,
    transferred,
)

__all__ = ["nothing_is_kept"]
pytestmark = pytest.mark.usefixtures("nothing_is_kept")


@pytest.fixture
def dest(tmp_path):
    return tmp_path / "new" / "dest"


class TestOneRevision:
    @pytest.mark.parametrize(
        "size", [0, 1, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 2 * PART_BYTES, SIZE]
    )
    def test_a_finished_file_holds_the_bytes_and_knows_their_digest(self, dest, size):
        source, progress = FakeSource(DATA[:size]), RecordedTransfer()

        info = transferred(source, dest, progress)

        assert DATA[:size] == dest.read_bytes()
        assert replace(source.info, digest=digest_of(DATA[:size])) == info
        assert ([size], size) == (progress.totals, progress.moved_bytes)
        assert not progress.moved_before_total

    def test_every_part_is_asked_for_once(self, dest):
        source = FakeSource()

        transferred(source, dest)

        assert [0, *STARTS] == sorted(source.asked)

    def test_a_known_revision_is_not_written(self, dest):
        source = FakeSource()

        assert NOT_MODIFIED is transfer(source, dest, source.info.revision, SILENT)

        assert not dest.parent.exists()
        assert [] == source.asked

    def test_a_first_part_that_is_shorter_than_asked_is_followed_by_the_rest(self, dest):
        source = FakeSource()
        source.answers[0] = lambda part: replace(part, end=1_000, data=DATA[:1_000])

        transferred(source, dest)

        assert DATA == dest.read_bytes()

    def test_parts_that_come_in_any_order_are_hashed_in_theirs(self, dest):
        source, last_came = FakeSource(), threading.Event()

        def wait(part):
            assert last_came.wait(30)
            return part

        def tell(part):
            last_came.set()
            return part

        source.answers = {STARTS[0]: wait, STARTS[1]: wait, STARTS[-1]: tell}

        info = transferred(source, dest)

        assert digest_of(DATA) == info.digest
        assert DATA == dest.read_bytes()

    def test_many_transfers_at_once_share_the_slots_and_none_waits_for_ever(self, tmp_path):
        def act(number):
            return transferred(FakeSource(), tmp_path / str(number)).digest

        assert {digest_of(DATA)} == set(at_once(6, act))


def _short(part):
    return replace(part, data=part.data[:-1])


def _long(part):
    return replace(part, data=bytes(part.data) + b"x")


def _empty(part):
    return replace(part, data=b"")


def _of_another_revision(part):
    return replace(part, info=replace(part.info, etag='"other"'))


def _without_etag(part):
    return replace(part, info=replace(part.info, etag=None))


def _of_a_longer_object(part):
    return replace(part, info=replace(part.info, size_bytes=part.info.size_bytes + 1))


def _of_an_earlier_range(part):
    return replace(part, start=part.start - 1)


def _of_a_later_range(part):
    return replace(part, start=part.start + 1, end=part.end + 1)


def _of_a_longer_range(part):
    return replace(part, end=part.end + 1, data=bytes(part.data) + b"x")


wrong_parts = pytest.mark.parametrize(
    "wrong",
    [
        _short,
        _long,
        _empty,
        _of_another_revision,
        _without_etag,
        _of_a_longer_object,
        _of_an_earlier_range,
        _of_a_later_range,
        _of_a_longer_range,
        refused,
    ],
)


class TestWrongParts:
    @wrong_parts
    @pytest.mark.parametrize("start", [STARTS[0], STARTS[1], STARTS[-1]])
    def test_a_wrong_part_is_told(self, dest, wrong, start):
        with pytest.raises(ObjectChangedError):
            transferred(FakeSource(answers={start: wrong}), dest)

    @pytest.mark.parametrize(
        "wrong",
        [
            _short,
            _long,
            _empty,
            _of_an_earlier_range,
            _of_a_later_range,
            _of_a_longer_object,
            refused,
        ],
    )
    @pytest.mark.parametrize("size", [1_000, SIZE])
    def test_a_wrong_first_part_is_told(self, dest, wrong, size):
        with pytest.raises(ObjectChangedError):
            transferred(FakeSource(DATA[:size], answers={0: wrong}), dest)

    def test_a_first_part_that_goes_beyond_the_end_is_told(self, dest):
        def beyond(part):
            info = replace(part.info, size_bytes=PART_BYTES - 1)
            return replace(part, info=info)

        with pytest.raises(ObjectChangedError):
            transferred(FakeSource(answers={0: beyond}), dest)

    def test_all_parts_of_another_revision_are_told(self, dest):
        source = FakeSource(answers=dict.fromkeys(STARTS, _of_another_revision))

        with pytest.raises(ObjectChangedError):
            transferred(source, dest)

    @pytest.mark.parametrize("start", [0, STARTS[0], STARTS[-1]])
    def test_a_body_that_cannot_be_read_is_told(self, dest, start):
        source = FakeSource(answers={start: lambda part: replace(part, data=DOWN)})

        with pytest.raises(StorageUnavailableError):
            transferred(source, dest)

    def test_after_a_failure_no_more_parts_are_asked_for(self, dest, monkeypatch):
        """Each thread has asked for one part by then, and those come after it."""
        source, failed = FakeSource(bytes(16 * PART_BYTES)), threading.Event()
        all_ask, stop = threading.Barrier(engine._THREADS), engine._ParallelParts._stop

        def stopped(parts, error):
            stop(parts, error)
            failed.set()

        def fail(_):
            all_ask.wait(30)
            raise ObjectChangedError

        def wait(part):
            all_ask.wait(30)
            assert failed.wait(30)
            return part

        starts = range(PART_BYTES, 16 * PART_BYTES, PART_BYTES)
        source.answers = {**dict.fromkeys(starts, wait), starts[0]: fail}
        monkeypatch.setattr(engine._ParallelParts, "_stop", stopped)

        with pytest.raises(ObjectChangedError):
            transferred(source, dest)

        assert 1 + engine._THREADS == len(source.asked)

    def test_a_progress_that_fails_ends_the_transfer(self, dest):
        class Broken(RecordedTransfer):
            def advance(self, size_bytes):
                super().advance(size_bytes)
                if self.moved_bytes > PART_BYTES:
                    raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            transferred(FakeSource(), dest, Broken())


class TestClosing:
    """A network file system may fail as a file is closed."""

    @pytest.fixture
    def failing_close(self, monkeypatch):
        close = os.close

        def fail(fd):
            close(fd)
            raise OSError(errno.EIO, "Input/output error")

        monkeypatch.setattr("datacachalog.adapters.storage.transfer.os.close", fail)

    @pytest.mark.usefixtures("failing_close")
    def test_that_is_told(self, dest):
        with pytest.raises(CacheError, match="Input/output error"):
            transferred(FakeSource(b"small"), dest)

    @pytest.mark.usefixtures("failing_close")
    @pytest.mark.parametrize(
        ("why", "expected"),
        [(OSError(errno.ENOSPC, "full"), CacheFullError), (KeyboardInterrupt(), KeyboardInterrupt)],
        ids=["full", "ctrl-c"],
    )
    def test_what_came_before_it_is_told_instead(self, dest, monkeypatch, why, expected):
        def fail(*_):
            raise why

        monkeypatch.setattr("datacachalog.adapters.storage.transfer.write_at", fail)

        with pytest.raises(expected):
            transferred(FakeSource(b"small"), dest)


class TestOneStream:
    @pytest.mark.parametrize("etag", ['W/"weak"', None])
    def test_what_no_tag_holds_together_comes_in_one_stream(self, dest, etag):
        source = FakeSource(etag=etag)

        info = transferred(source, dest)

        assert [0, "whole"] == source.asked
        assert (DATA, digest_of(DATA)) == (dest.read_bytes(), info.digest)

    def test_one_part_needs_no_tag(self, dest):
        source = FakeSource(DATA[:PART_BYTES], etag=None)

        transferred(source, dest)

        assert [0] == source.asked

    def test_one_part_with_a_weak_tag_comes_in_one_stream(self, dest):
        """Its second half may be of another revision, if the connection is lost in between."""
        source = FakeSource(DATA[:PART_BYTES], etag='W/"weak"')

        transferred(source, dest)

        assert [0, "whole"] == source.asked

    def test_a_server_that_ignores_ranges_sends_one_stream(self, dest):
        source, progress = FakeSource(ignores_ranges=True), RecordedTransfer()

        info = transferred(source, dest, progress)

        assert ["whole"] == source.asked
        assert (DATA, digest_of(DATA)) == (dest.read_bytes(), info.digest)
        assert ([SIZE], SIZE) == (progress.totals, progress.moved_bytes)

    @pytest.mark.parametrize(
        "stream",
        [
            lambda blocks: iter([*blocks][:-1]),
            lambda blocks: iter([*blocks, b"more"]),
            lambda _: iter([]),
        ],
    )
    def test_a_stream_of_another_length_is_told(self, dest, stream):
        source = FakeSource(ignores_ranges=True, answers={"whole": stream})

        with pytest.raises(ObjectChangedError):
            transferred(source, dest)

    def test_a_stream_that_breaks_is_told(self, dest):
        def broken(blocks):
            yield next(blocks)
            raise DOWN

        source = FakeSource(ignores_ranges=True, answers={"whole": broken})

        with pytest.raises(StorageUnavailableError):
            transferred(source, dest)

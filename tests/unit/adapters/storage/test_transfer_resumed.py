"""A transfer goes on with what an interrupted one left, and with nothing that is not right."""

from __future__ import annotations

import json
import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from datacachalog.adapters.journal import journal_of
from datacachalog.adapters.storage.transfer import PART_BYTES, ObjectChangedError, transfer
from datacachalog.domain.errors import CacheFullError, StorageUnavailableError
from datacachalog.domain.objects import NOT_MODIFIED, ObjectInfo, Revision
from datacachalog.ports import SILENT
from datacachalog.testing.payloads import RecordedTransfer, digest_of, payload
from tests.unit.adapters.storage.parts import (
    DATA,
    DOWN,
    SIZE,
    STARTS,
    FakeSource,
    nothing_is_kept,
    transferred,
)

__all__ = ["nothing_is_kept"]
pytestmark = pytest.mark.usefixtures("nothing_is_kept")

OTHER = payload(2, SIZE)


def _lost(part):
    return replace(part, data=DOWN)


class _Moving(RecordedTransfer):
    """Tells when two parts are in the file."""

    def __init__(self):
        super().__init__()
        self.has_two_parts = threading.Event()

    def advance(self, size_bytes):
        super().advance(size_bytes)
        if self.moved_bytes == 2 * PART_BYTES:
            self.has_two_parts.set()


@pytest.fixture
def dest(tmp_path):
    """Where a transfer came as far as its second part, and no further."""
    dest, progress = tmp_path / "new" / "dest", _Moving()

    def lost_then(part):
        assert progress.has_two_parts.wait(30)
        return _lost(part)

    with pytest.raises(StorageUnavailableError):
        transferred(FakeSource(answers=dict.fromkeys(STARTS[1:], lost_then)), dest, progress)
    return dest


def resumed(source, dest, progress=SILENT, unless=None):
    """The info, once the file is found to be right and nothing to be beside it."""
    info = transfer(source, dest, unless, progress, resume=True)
    assert isinstance(info, ObjectInfo)
    assert source.data == dest.read_bytes()
    assert digest_of(source.data) == info.digest
    assert [dest] == list(dest.parent.iterdir())
    return info


class TestGoingOn:
    def test_only_what_is_missing_is_asked_for(self, dest):
        source = FakeSource()

        info = resumed(source, dest)

        assert [*STARTS[1:]] == sorted(source.asked)
        assert source.info == replace(info, digest=None)

    def test_progress_counts_at_once_what_was_there(self, dest):
        progress = RecordedTransfer()

        resumed(FakeSource(), dest, progress)

        assert ([SIZE], SIZE) == (progress.totals, progress.moved_bytes)
        assert not progress.moved_before_total

    def test_where_all_is_there_one_byte_is_asked_for(self, dest, monkeypatch):
        """Somebody was killed when all was done but the last step."""
        monkeypatch.setattr("datacachalog.adapters.journal.Journal.remove", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            transfer(FakeSource(), dest, None, SILENT, resume=True)
        monkeypatch.undo()
        source = FakeSource()

        resumed(source, dest)

        assert [SIZE - 1] == source.asked

    def test_one_that_fails_again_can_be_gone_on_with_again(self, dest):
        source = FakeSource(answers=dict.fromkeys(STARTS[2:], _lost))
        with pytest.raises(StorageUnavailableError):
            transfer(source, dest, None, SILENT, resume=True)
        source = FakeSource()

        resumed(source, dest)

        assert [*STARTS[2:]] == source.asked

    def test_one_that_fails_at_once_loses_nothing(self, dest):
        with pytest.raises(StorageUnavailableError):
            transfer(
                FakeSource(answers=dict.fromkeys(STARTS, _lost)), dest, None, SILENT, resume=True
            )
        source = FakeSource()

        resumed(source, dest)

        assert 0 not in source.asked

    def test_a_part_that_is_lost_twice_is_asked_for_a_third_time(self, tmp_path):
        lost = [DOWN, DOWN]
        source = FakeSource()
        source.answers[STARTS[1]] = lambda part: replace(part, data=lost.pop()) if lost else part

        transferred(source, tmp_path / "dest")

        assert 3 == source.asked.count(STARTS[1])
        assert DATA == (tmp_path / "dest").read_bytes()


def _interrupt(_):
    raise KeyboardInterrupt


class TestBeginningAnew:
    @pytest.mark.parametrize("size", [0, 10, PART_BYTES, SIZE - 1, SIZE])
    def test_an_object_that_changed_is_fetched_whole(self, dest, size):
        """Whether the server honours the condition or not."""
        resumed(FakeSource(OTHER[:size], etag='"other"'), dest)

    @pytest.mark.parametrize("etag", ['W/"weak"', None])
    def test_one_whose_tag_is_weak_now_is_fetched_whole(self, dest, etag):
        resumed(FakeSource(OTHER, etag=etag), dest)

    def test_one_whose_tags_are_weak_leaves_nothing_to_go_on_with(self, tmp_path):
        def broken(blocks):
            yield next(blocks)
            raise DOWN

        with pytest.raises(StorageUnavailableError):
            transferred(FakeSource(etag='W/"a"', answers={"whole": broken}), tmp_path / "dest")

        assert ["dest"] == [path.name for path in tmp_path.iterdir()]

    def test_what_the_caller_has_is_not_fetched(self, dest):
        source = FakeSource()
        unless = source.info.revision

        assert NOT_MODIFIED is transfer(source, dest, unless, SILENT, resume=True)
        assert [] == source.asked

    def test_what_the_caller_has_is_not_fetched_instead_of_another_one(self, dest):
        source = FakeSource(OTHER, etag='"other"')
        unless = source.info.revision

        assert NOT_MODIFIED is transfer(source, dest, unless, SILENT, resume=True)

    def test_another_one_than_the_caller_has_is_gone_on_with(self, dest):
        source = FakeSource()

        resumed(source, dest, unless=Revision('"older"', None, 5))

        assert [*STARTS[1:]] == sorted(source.asked)

    def test_one_that_keeps_changing_is_told(self, dest):
        source = FakeSource(OTHER, etag='"other"')
        source.answers[STARTS[1]] = lambda part: replace(
            part, info=replace(part.info, etag='"third"')
        )

        with pytest.raises(ObjectChangedError):
            transfer(source, dest, None, SILENT, resume=True)

    @pytest.mark.parametrize("name", ["dest", "dest.journal"])
    def test_half_of_it_is_nothing(self, dest, name):
        (dest.parent / name).unlink()

        resumed(FakeSource(), dest)

    @pytest.mark.parametrize("name", ["dest", "dest.journal"])
    def test_a_link_is_not_followed(self, dest, name):
        target = dest.parent.with_name("target")
        (dest.parent / name).rename(target)
        (dest.parent / name).symlink_to(target)
        before = target.read_bytes()

        resumed(FakeSource(), dest)

        assert before == target.read_bytes()

    @pytest.mark.parametrize("name", ["dest", "dest.journal"])
    def test_a_pipe_is_not_waited_for(self, dest, name):
        (dest.parent / name).unlink()
        os.mkfifo(dest.parent / name)

        resumed(FakeSource(), dest)


class TestJournals:
    @pytest.mark.parametrize(
        "head",
        [
            {},
            {"format": 2, "etag": '"strong"', "size": SIZE},
            {"format": 1, "etag": None, "size": SIZE},
            {"format": 1, "etag": 'W/"strong"', "size": SIZE},
            {"format": 1, "etag": '"strong"', "size": 5},
            {"format": 1, "etag": '"strong"', "size": "5"},
            {"format": 1, "etag": '"strong"', "size": -1},
            {"format": 1, "etag": '"strong"', "size": SIZE + 1},
            [],
            "\ud800",
        ],
    )
    def test_one_that_speaks_of_something_else_is_as_if_there_were_none(self, dest, head):
        journal = Path(journal_of(dest))
        _, _, lines = journal.read_text().partition("\n")
        journal.write_text(f"{json.dumps(head)}\n{lines}")

        resumed(FakeSource(), dest)

    @pytest.mark.parametrize(
        "line",
        ["", "\n", "5\n", "-1 {0}\n", "0 {0}\n", "99999999999999999999 {0}\n", "x" * 5000, "5 {0}"],
    )
    def test_one_ends_where_a_line_makes_no_sense(self, dest, line):
        with Path(journal_of(dest)).open("a") as file:
            file.write(line.format("0" * 64))
        source = FakeSource()

        resumed(source, dest)

        assert [*STARTS[1:]] == sorted(source.asked)

    def test_after_a_torn_line_it_is_written_on_as_if_that_had_not_been(self, dest):
        with Path(journal_of(dest)).open("a") as file:
            file.write("1258")
        with pytest.raises(StorageUnavailableError):
            transfer(
                FakeSource(answers=dict.fromkeys(STARTS[2:], _lost)),
                dest,
                None,
                SILENT,
                resume=True,
            )
        source = FakeSource()

        resumed(source, dest)

        assert [STARTS[2]] == source.asked

    @pytest.mark.parametrize("place", [0, PART_BYTES - 1, PART_BYTES, 2 * PART_BYTES - 1])
    def test_a_byte_that_is_another_one_ends_it_before_its_part(self, dest, place):
        with dest.open("r+b") as file:
            file.seek(place)
            file.write(bytes([DATA[place] ^ 1]))
        source = FakeSource()

        resumed(source, dest)

        assert place // PART_BYTES * PART_BYTES == min(source.asked)

    def test_a_file_that_was_cut_is_right_up_to_there(self, dest):
        os.truncate(dest, PART_BYTES + 5)
        source = FakeSource()

        resumed(source, dest)

        assert PART_BYTES == min(source.asked)

    def test_a_file_that_is_longer_than_the_object_is_not_one(self, dest):
        os.truncate(dest, SIZE + 1)
        source = FakeSource()

        resumed(source, dest)

        assert 0 in source.asked


def test_room_is_taken_before_a_second_part_is_asked_for(tmp_path, monkeypatch):
    source, sizes = FakeSource(), list[int]()

    def full(_, size_bytes):
        sizes.append(size_bytes)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("datacachalog.adapters.storage.sink.reserve", full)
    with pytest.raises(CacheFullError):
        transferred(source, tmp_path / "dest")

    assert ([0], [SIZE]) == (source.asked, sizes)

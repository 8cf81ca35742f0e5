"""Progress is shown where somebody watches, once bytes begin to move, and in one display."""

from __future__ import annotations

import threading
import time
from typing import ClassVar

import pytest

from datacachalog.adapters import progress as progress_module
from datacachalog.adapters.automatic_progress import AutomaticProgress
from datacachalog.adapters.progress import RichProgress
from datacachalog.ports import SilentProgress
from datacachalog.testing.payloads import at_once


class Witness(RichProgress):
    """A display that remembers what it was told, and draws nothing."""

    made: ClassVar[list[Witness]] = []

    def __init__(self):
        super().__init__()
        time.sleep(0.01)  # as long as it takes to import rich
        self.heard = []
        self.made.append(self)

    def begin(self, name, size_bytes):
        number = super().begin(name, size_bytes)
        self.heard.append(("begin", number, name, size_bytes))
        return number

    def advance(self, number, size_bytes):
        self.heard.append(("advance", number, size_bytes))

    def end(self, number):
        super().end(number)
        self.heard.append(("end", number))

    def draw(self):
        """Draws nothing."""


@pytest.fixture
def displays(monkeypatch):
    """All displays that are made meanwhile."""
    monkeypatch.setattr(progress_module, "RichProgress", Witness)
    monkeypatch.setattr(Witness, "made", [])
    before = set(threading.enumerate())
    yield Witness.made
    for display in Witness.made:
        display.__exit__(None, None, None)
    for thread in {*threading.enumerate()} - before:
        thread.join(10)


@pytest.fixture
def watched():
    return AutomaticProgress(lambda: True)


def test_what_moves_is_shown(watched, displays):
    with watched.transfer("orders") as transfer:
        transfer.total(10)
        transfer.advance(4)
        transfer.advance(6)

    [display] = displays
    assert [
        ("begin", 0, "orders", 10),
        ("advance", 0, 4),
        ("advance", 0, 6),
        ("end", 0),
    ] == display.heard


def test_what_does_not_move_is_not_shown(watched, displays):
    with watched.transfer("orders"):
        """The copy is still current."""

    assert [] == displays


def test_nothing_is_shown_where_nobody_watches(displays):
    with AutomaticProgress(lambda: False).transfer("orders") as transfer:
        transfer.total(10)
        transfer.advance(10)

    assert [] == displays


def test_whether_somebody_watches_is_asked_when_bytes_begin_to_move(displays):
    asked = []

    def is_watched():
        asked.append(True)
        return False

    progress = AutomaticProgress(is_watched)
    with progress.transfer("orders") as transfer:
        assert [] == asked
        transfer.total(10)

    assert [True] == asked
    assert isinstance(progress.shown(), SilentProgress)


def test_a_transfer_that_begins_anew_ends_once(watched, displays):
    with watched.transfer("orders") as transfer:
        transfer.total(10)
        transfer.advance(4)
        transfer.total(12)
        transfer.advance(12)

    [display] = displays
    assert {0, 1} == {heard[1] for heard in display.heard if heard[0] == "end"}
    assert not display._batch.is_moving


def test_a_transfer_that_fails_ends(watched, displays):
    def fail():
        with watched.transfer("orders") as transfer:
            transfer.total(10)
            raise ValueError

    with pytest.raises(ValueError):
        fail()

    [display] = displays
    assert ("end", 0) == display.heard[-1]


def test_transfers_that_begin_together_share_one_display(watched, displays):
    shown = at_once(8, lambda _: watched.shown())

    assert 1 == len(displays)
    assert {id(displays[0])} == {id(display) for display in shown}

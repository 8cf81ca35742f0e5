"""Transfers are counted exactly, whoever counts them, and drawn rarely."""

from __future__ import annotations

import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from io import StringIO

import pytest
from rich.console import Console

from datacachalog.adapters.progress import Picture, RichProgress, Row
from datacachalog.adapters.progress_display import RichDisplay

MIB = 1 << 20


class Clock:
    """A clock that goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Terminal(StringIO):
    """A terminal that remembers when it was written to, and may be gone."""

    def __init__(self) -> None:
        super().__init__()
        self.times: list[float] = []
        self.is_gone = False

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if self.is_gone:
            raise OSError(5, "Input/output error")
        self.times.append(time.monotonic())
        return super().write(text)


@pytest.fixture
def terminal():
    return Terminal()


@pytest.fixture
def console(terminal):
    return Console(file=terminal, force_terminal=True, width=100, height=24, color_system=None)


def frames(terminal: Terminal) -> list[str]:
    """What was drawn, one string a picture, without what moves the cursor."""
    text = terminal.getvalue()
    for code in ("\x1b[?25l", "\x1b[?25h", "\x1b[2K", "\x1b[1A"):
        text = text.replace(code, "")
    return [line.strip() for line in re.split("[\r\n]", text) if line.strip()]


class TestDrawing:
    """The clock stands still, so that nothing is drawn by itself, however slow the machine is."""

    def test_one_transfer_is_one_line_with_bytes_and_speed(self, console, terminal):
        progress = RichProgress(console, clock=Clock())

        with progress.transfer("customers") as transfer:
            transfer.total(100 * MIB)
            transfer.advance(25 * MIB)
            progress.draw()

            (line,) = frames(terminal)
        assert line.startswith("customers ")
        assert "25.0/100.0 MiB" in line

    def test_several_have_a_line_of_sums_first(self, console, terminal):
        progress = RichProgress(console, clock=Clock())

        with progress.transfer("a") as a, progress.transfer("b") as b:
            a.total(4 * MIB)
            b.total(6 * MIB)
            a.advance(MIB)
            b.advance(2 * MIB)
            progress.draw()

            sums, *rest = frames(terminal)
        assert sums.startswith("0 done, 2 moving")
        assert "3.0/10.0 MiB" in sums
        assert ["a", "b"] == [line.split()[0] for line in rest]

    def test_of_a_thousand_only_the_oldest_eight_are_shown(self, console, terminal):
        progress = RichProgress(console, clock=Clock())
        numbers = [progress.begin(f"part{n}", MIB) for n in range(1000)]
        for number in numbers[:3]:
            progress.advance(number, MIB)
            progress.end(number)

        progress.draw()

        sums, *rest = frames(terminal)
        assert sums.startswith("3 done, 997 moving")
        assert [f"part{n}" for n in range(3, 11)] == [line.split()[0] for line in rest]

    def test_the_screen_is_left_as_it_was(self, console, terminal):
        progress = RichProgress(console, clock=Clock())

        with progress.transfer("customers") as transfer:
            transfer.total(MIB)
            progress.draw()

        shown = terminal.getvalue()
        assert shown.endswith("\x1b[?25h\r\x1b[1A\x1b[2K")
        assert shown.count("\n") == shown.count("\x1b[1A")

    def test_the_end_is_drawn_before_it_is_erased(self, console, terminal):
        progress = RichProgress(console, clock=Clock())

        with progress.transfer("customers") as transfer:
            transfer.total(100 * MIB)
            transfer.advance(83 * MIB)
            progress.draw()
            transfer.advance(17 * MIB)

        assert "100.0/100.0 MiB" in frames(terminal)[-1]

    def test_a_transfer_that_failed_is_not_drawn_as_if_it_were_whole(self, console, terminal):
        progress = RichProgress(console, clock=Clock())

        number = progress.begin("customers", 100 * MIB)
        progress.draw()
        progress.advance(number, 83 * MIB)

        progress.end(number)

        assert "83.0/100.0 MiB" in frames(terminal)[-1]

    def test_nothing_is_drawn_before_the_size_is_known(self, console, terminal):
        progress = RichProgress(console, clock=Clock())

        with progress.transfer("customers") as transfer:
            transfer.advance(0)
            progress.draw()

        assert "" == terminal.getvalue()

    def test_nothing_is_drawn_after_the_context_has_ended(self, console, terminal):
        with RichProgress(console, clock=Clock()) as progress, progress.transfer("a") as transfer:
            transfer.total(MIB)
            progress.draw()
            progress.__exit__(None, None, None)
            erased = terminal.getvalue()

            progress.draw()
            with progress.transfer("b") as late:
                late.total(MIB)
                progress.draw()

        assert erased == terminal.getvalue()

    def test_a_name_cannot_move_the_terminal(self, console, terminal):
        progress = RichProgress(console, clock=Clock())

        with progress.transfer("a\x1b[2Jb[red]") as transfer:
            transfer.total(MIB)
            progress.draw()

        assert "a\\x1b[2Jb[red]" in terminal.getvalue()

    def test_a_terminal_that_is_gone_does_not_end_the_transfer(self, console, terminal):
        progress = RichProgress(console, clock=Clock())

        with progress.transfer("customers") as transfer:
            transfer.total(MIB)
            progress.draw()
            terminal.is_gone = True
            transfer.advance(MIB)


class TestCounting:
    @pytest.fixture
    def pictures(self, monkeypatch):
        """What would be drawn, and that only when the test draws: its clock goes on."""
        seen: list[Picture] = []

        class Album:
            def __init__(self, _console) -> None:
                pass

            def draw(self, picture: Picture) -> None:
                seen.append(picture)

            def erase(self, last: Picture | None) -> None:
                pass

        monkeypatch.setattr("datacachalog.adapters.progress_display.RichDisplay", Album)
        monkeypatch.setattr(RichProgress, "_watch", lambda _: None)
        return seen

    def test_bytes_are_counted_by_many_threads_at_once(self, pictures):
        progress = RichProgress(clock=Clock())

        with progress.transfer("a") as transfer, ThreadPoolExecutor(8) as pool:
            transfer.total(80_000)
            for done in [pool.submit(self.advance, transfer, 10_000) for _ in range(8)]:
                done.result()
            progress.draw()

        assert (Row(0, "a", 80_000, 80_000),) == pictures[-1].rows

    @staticmethod
    def advance(transfer, times):
        for _ in range(times):
            transfer.advance(1)

    def test_a_part_that_is_moved_again_does_not_count_twice(self, pictures):
        progress = RichProgress(clock=Clock())

        with progress.transfer("a") as transfer:
            transfer.total(10)
            for moved in (8, -8, 10):
                transfer.advance(moved)
            progress.draw()

        assert 10 == pictures[-1].moved_bytes

    def test_what_a_failed_transfer_did_not_move_is_not_waited_for(self, pictures):
        progress = RichProgress(clock=Clock())
        failed, other = progress.begin("failed", 10), progress.begin("other", 5)
        progress.advance(failed, 4)

        progress.end(failed)

        progress.draw()
        assert Picture((Row(other, "other", 0, 5),), 2, 1, 4, 9) == pictures[-1]

    def test_bytes_that_come_after_the_end_are_not_counted(self, pictures):
        progress = RichProgress(clock=Clock())
        ended, other = progress.begin("ended", 10), progress.begin("other", 5)
        progress.end(ended)

        progress.advance(ended, 3)

        progress.draw()
        assert (0, 5) == (pictures[-1].moved_bytes, pictures[-1].size_bytes)
        progress.end(other)

    def test_transfers_in_quick_succession_are_one_batch(self, pictures):
        clock = Clock()
        progress = RichProgress(clock=clock)
        for name in ("a", "b"):
            clock.now += 0.9
            with progress.transfer(name) as transfer:
                transfer.total(10)
                progress.draw()

        assert [1, 2] == [picture.begun for picture in pictures]

    def test_a_transfer_after_a_pause_begins_a_new_batch(self, pictures):
        clock = Clock()
        progress = RichProgress(clock=clock)
        for name in ("a", "b"):
            clock.now += 1.1
            with progress.transfer(name) as transfer:
                transfer.total(10)
                progress.draw()

        assert [1, 1] == [picture.begun for picture in pictures]

    def test_counting_a_block_is_cheap(self):
        progress = RichProgress(clock=Clock())
        with progress.transfer("a") as transfer:
            transfer.total(1)
            took = [self.seconds(transfer) for _ in range(10)]

        assert min(took) < 0.05  # 50 µs each, ten times what is seen

    def seconds(self, transfer):
        """How long it takes to count a thousand blocks."""
        begun = time.perf_counter()
        self.advance(transfer, 1000)
        return time.perf_counter() - begun


class TestWatching:
    """These wait for the real thread that draws."""

    def test_a_transfer_that_takes_a_while_is_drawn_by_itself(self, console, terminal):
        with RichProgress(console) as progress, progress.transfer("customers") as transfer:
            transfer.total(MIB)
            deadline = time.monotonic() + 60
            while "customers" not in terminal.getvalue() and time.monotonic() < deadline:
                time.sleep(0.01)

            assert "customers" in terminal.getvalue()

    def test_a_quick_transfer_is_not_drawn_at_all(self, console, terminal):
        """However long the machine takes for it: its clock says that it was quick."""
        clock = Clock()
        progress = RichProgress(console, clock=clock)

        with progress.transfer("customers") as transfer:
            transfer.total(MIB)
            clock.now += 0.19
            transfer.advance(MIB)
            time.sleep(0.25)  # who draws looks in the meantime
        clock.now += 0.35
        time.sleep(0.25)

        assert "" == terminal.getvalue()

    def test_the_screen_is_drawn_at_most_ten_times_a_second(self, console, terminal):
        with RichProgress(console) as progress, progress.transfer("customers") as transfer:
            begun = time.monotonic()
            transfer.total(MIB)
            while terminal.getvalue().count("customers") < 5:
                transfer.advance(1)

        assert time.monotonic() - begun >= 0.5

    @pytest.mark.parametrize("idle_s", [0, 0.3])
    def test_one_thread_draws_and_it_ends_with_the_context(self, console, idle_s):
        def drawing() -> list[threading.Thread]:
            return [one for one in threading.enumerate() if one.name == "progress"]

        before = drawing()  # of other tests: they may end meanwhile
        with RichProgress(console) as progress:
            for name in ("a", "b", "c"):
                with progress.transfer(name) as transfer:
                    transfer.total(1)
            [ours] = [one for one in drawing() if one not in before]
            time.sleep(idle_s)
        ours.join(timeout=60)

        assert not ours.is_alive()


def test_the_display_is_on_standard_error_unless_told_otherwise(capsys):
    display = RichDisplay()
    display.draw(Picture((Row(0, "a", 1, 2),), 1, 0, 1, 2))
    display.erase()

    assert "" == capsys.readouterr().out


def test_a_line_gives_its_place_to_the_next(console, terminal):
    display = RichDisplay(console)

    display.draw(Picture((Row(0, "a", 1, 2),), 1, 0, 1, 2))
    display.draw(Picture((Row(1, "b", 1, 2),), 1, 0, 1, 2))
    display.erase()

    # The last picture is drawn once more before it is erased.
    assert ["a", "b", "b"] == [line.split()[0] for line in frames(terminal)]

"""Draws transfers with rich; imported by name, when there is something to draw."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.filesize import pick_unit_and_suffix
from rich.live import Live
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

if TYPE_CHECKING:
    from rich.progress import Task, TaskID

    from datacachalog.adapters.progress import Picture

_UNITS = ["B/s", "KiB/s", "MiB/s", "GiB/s", "TiB/s"]


class RichDisplay:
    """One line for each row of a picture, and one for the sums of several transfers."""

    def __init__(self, console: Console | None = None) -> None:
        console = console or Console(stderr=True)
        # Never started: by itself it would draw at every change of a line.
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            DownloadColumn(binary_units=True),
            _SpeedColumn(),
            TimeRemainingColumn(compact=True),
            console=console,
        )
        self._live = Live(
            get_renderable=self._progress.get_renderable,
            console=console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,  # data stays where it was sent
        )
        self._sums = self._progress.add_task("", visible=False)
        self._lines: dict[int, TaskID] = {}
        self._live.start()

    def draw(self, picture: Picture) -> None:
        self._show(picture)
        self._live.refresh()

    def erase(self, last: Picture | None = None) -> None:
        if last is not None:
            self._show(last)
        self._live.stop()  # which draws once more before it erases

    def _show(self, picture: Picture) -> None:
        numbers = {row.number for row in picture.rows}
        for number in [one for one in self._lines if one not in numbers]:
            self._progress.remove_task(self._lines.pop(number))
        for row in picture.rows:
            if row.number not in self._lines:
                name = row.name if row.name.isprintable() else ascii(row.name)
                self._lines[row.number] = self._progress.add_task(name, total=row.size_bytes)
            self._progress.update(self._lines[row.number], completed=row.moved_bytes)
        self._progress.update(
            self._sums,
            description=f"{picture.ended} done, {picture.begun - picture.ended} moving",
            total=picture.size_bytes,
            completed=picture.moved_bytes,
            visible=picture.begun > 1,
        )


class _SpeedColumn(ProgressColumn):
    """Bytes a second, in the units of the sizes beside it."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        if speed is None:
            return Text("")
        unit, suffix = pick_unit_and_suffix(int(speed), _UNITS, 1024)
        return Text(f"{speed / unit:.1f} {suffix}", style="progress.data.speed")

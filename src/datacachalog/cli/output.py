"""Standard output: data, for a person on a terminal, for a program in a pipe, or as JSON.

A table is aligned on a terminal, with sizes and times as people say them. In a pipe it is one
line a row, tab-separated and without a header, with sizes in bytes and times in ISO 8601 (UTC).
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import textwrap
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, TypeAlias, assert_never

from datacachalog.cli import text
from datacachalog.cli.exits import UsageError
from datacachalog.cli.text import escaped, painted, width
from datacachalog.domain.words import age, moment, size

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import TextIO

JsonValue: TypeAlias = "str | float | bool | Sequence[JsonValue] | Mapping[str, JsonValue] | None"


@dataclass(frozen=True, slots=True)
class Size:
    """A number of bytes, in a table."""

    size_bytes: int


@dataclass(frozen=True, slots=True)
class Painted:
    """A word in a table that has a colour on a terminal."""

    text: str
    colour: str


Cell: TypeAlias = str | Size | datetime | Painted | None

_GAP = "  "
_LEAST_COLUMNS = 12


@contextmanager
def output_errors() -> Iterator[None]:
    """Turns what the operating system says of writing the output into an error of ours.

    A reader that went away is none: `BrokenPipeError` passes.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise UsageError(f"the output cannot be written: {error.strerror}") from error


class Output:
    """Where a command's data goes: every method is given it both for people and as JSON.

    `now` is what ages are counted from. JSON is in ASCII: readable in any encoding, and safe on
    any terminal.
    """

    def __init__(
        self, stream: TextIO, now: datetime, *, as_json: bool = False, columns: int = 80
    ) -> None:
        self._stream = stream
        self._now = now
        self._as_json = as_json
        self._columns = columns
        self._is_terminal = stream.isatty()
        self._has_colour = text.has_colour(stream, os.environ)

    @classmethod
    def standard(cls, now: datetime, *, as_json: bool) -> Output:
        """Standard output, as wide as the terminal is."""
        columns = shutil.get_terminal_size().columns
        return cls(sys.stdout, now, as_json=as_json, columns=columns)

    def lines(self, lines: Iterable[str], record: JsonValue) -> None:
        """Writes lines: to a pipe exactly as they are, to a terminal made safe."""
        if self._as_json:
            self._write_json(record)
            return
        for line in lines:
            self._write(escaped(line) if self._is_terminal else line)

    def table(
        self, header: Sequence[str], rows: Iterable[Sequence[Cell]], record: JsonValue
    ) -> None:
        """Writes rows; the last column is cropped where the terminal is too narrow."""
        if self._as_json:
            self._write_json(record)
        elif self._is_terminal:
            self._write_aligned(header, [list(row) for row in rows])
        else:
            for row in rows:
                self._write("\t".join(map(_plain, row)))

    def facts(self, facts: Iterable[tuple[str, Cell]], record: JsonValue) -> None:
        """Writes names, and what each is, wrapped; a person is not shown what is not known."""
        if self._as_json:
            self._write_json(record)
        elif self._is_terminal:
            known = [(name, cell) for name, cell in facts if cell is not None and cell != ""]
            longest = max(width(name) for name, _ in known)
            for name, cell in known:
                label = self._painted(text.padded(name, longest), "dim")
                first, *more = self._wrapped(self._human(cell), longest + len(_GAP))
                self._write(f"{label}{_GAP}{self._coloured(cell, first)}")
                for line in more:
                    self._write(f"{' ' * longest}{_GAP}{self._coloured(cell, line)}")
        else:
            for name, fact in facts:
                self._write(f"{name}\t{_plain(fact)}")

    def _wrapped(self, words: str, indent: int) -> list[str]:
        """Lines that fit right of `indent`; a word that is longer, such as a path, stays whole."""
        room = max(_LEAST_COLUMNS, self._columns - indent)
        return textwrap.wrap(words, room, break_long_words=False, break_on_hyphens=False) or [words]

    def _write(self, line: str) -> None:
        with output_errors():
            self._stream.write(f"{line}\n")

    def _write_json(self, record: JsonValue) -> None:
        self._write(json.dumps(record, indent=2))

    def _write_aligned(self, header: Sequence[str], rows: list[list[Cell]]) -> None:
        if not rows:
            return
        texts = [[self._human(cell) for cell in row] for row in rows]
        *widths, _ = [max(map(width, column)) for column in zip(header, *texts, strict=True)]
        room = max(_LEAST_COLUMNS, self._columns - sum(widths) - len(_GAP) * len(widths))
        self._write(self._painted(_GAP.join(_fitted(header, widths, room)), "bold"))
        for row, words in zip(rows, texts, strict=True):
            shown = _fitted(words, widths, room)
            self._write(_GAP.join(map(self._coloured, row, shown)).rstrip())

    def _human(self, cell: Cell) -> str:
        match cell:
            case datetime():
                return age(cell, self._now)
            case Size():
                return size(cell.size_bytes)
            case _:
                return _plain(cell)

    def _coloured(self, cell: Cell, shown: str) -> str:
        return self._painted(shown, cell.colour) if isinstance(cell, Painted) else shown

    def _painted(self, shown: str, colour: str) -> str:
        return painted(shown, colour, enabled=self._has_colour)


def _fitted(words: Sequence[str], widths: Sequence[int], room: int) -> list[str]:
    """The words of a line, as wide as their columns; the last, which has no width, cropped."""
    return [*map(text.padded, words, widths), text.cropped(words[-1], room)]


def _plain(cell: Cell) -> str:
    match cell:
        case None:
            return ""
        case datetime():
            return moment(cell)
        case Size():
            return str(cell.size_bytes)
        case Painted():
            return escaped(cell.text)
        case str():
            return escaped(cell)
        case _:
            assert_never(cell)

"""catalog.lock: the exact bytes that each dataset had when it was locked.

One table a dataset, sorted by name, one key a line, and nothing about the whole: so two branches
that lock different datasets merge by themselves. It is TOML 1.0, for people and other programs.
What differs from machine to machine is not in it.
"""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NoReturn, TypeAlias

from datacachalog.domain.checksum import Checksum
from datacachalog.domain.dataset import name_problem
from datacachalog.domain.errors import LockfileError
from datacachalog.domain.objects import is_immutable_version

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from datacachalog.domain.objects import ObjectInfo
    from datacachalog.domain.uri import Uri

FORMAT: Final = 1
_HEAD = "# The exact bytes of each dataset, written by 'catalog lock'; to be kept with the code.\n"
# Patterns are compiled when they are first used: importing this must cost little.
_CONFLICT = r"(?:<{7}|={7}|>{7}|\|{7})(?: |$)"
_STRING = r'"(?:[^"\\]|\\.)*"|\'[^\']*\''
# One table or key a line, and nothing nested: what is read takes no longer than what is written.
_SHAPE = (
    rf"(?:\[[ \t]*datasets[ \t]*\.[ \t]*(?:[\w-]+|{_STRING})[ \t]*\]"
    rf"|\w+[ \t]*=[ \t]*(?:{_STRING}|[\w+-][\w:+.-]{{0,31}}(?: [\w:+.-]{{1,31}})?))?[ \t]*(?:#.*)?"
)
_LINE = r" *\(at (?:line (\d+), column \d+|end of document)\)"
_ESCAPES = {'"': '\\"', "\\": "\\\\"}
_KEYS = ("source", "size_bytes", "blake3", "version", "etag", "last_modified")


@dataclass(frozen=True, slots=True)
class Pin:
    """The exact bytes of a dataset: where they are, what they come to, how their store told them.

    `source` is as the catalog has it: a relative path stays relative. `digest` is the BLAKE3 in
    hexadecimal. `etag` and `version` are there only where they are strong: an entity tag of which
    the store promises that it means these bytes, a version id that names them for ever.
    """

    source: str
    size_bytes: int
    digest: str
    version: str | None = None
    etag: str | None = None
    last_modified: datetime | None = None

    @classmethod
    def of(cls, source: str, info: ObjectInfo, digest: str) -> Pin:
        """The pin of an object whose bytes have that BLAKE3.

        Of a local file only the bytes are kept: its times and tags are of this machine.
        """
        if info.uri.scheme == "file":
            return cls(source, info.size_bytes, digest)
        return cls(
            source,
            info.size_bytes,
            digest,
            _spelled(info.version) if info.version and is_immutable_version(info.version) else None,
            _spelled(info.etag) if info.etag and info.revision.is_strong else None,
            info.last_modified and info.last_modified.astimezone(UTC).replace(microsecond=0),
        )

    def changes(self, other: Pin) -> tuple[str, ...]:
        """How `other` differs, in words.

        >>> Pin("a.csv", 1, "0" * 64).changes(Pin("a.csv", 2, "0" * 64))
        ('size 1 → 2',)
        """
        pairs = (
            ("source", self.source, other.source),
            ("size", self.size_bytes, other.size_bytes),
            ("version", self.version, other.version),
            ("etag", self.etag, other.etag),
            ("blake3", self.digest[:12], other.digest[:12]),
            ("modified", self.last_modified, other.last_modified),
        )
        return tuple(
            f"{name} {_word(before)} → {_word(after)}"
            for name, before, after in pairs
            if before != after
        )


Pins: TypeAlias = "Mapping[str, Pin]"
"""Pins by the names of datasets."""


@dataclass(frozen=True, slots=True)
class LockPlan:
    """What locking has to do with the datasets `names`: pin some anew, and drop some pins."""

    names: tuple[str, ...]
    take: frozenset[str]
    drop: frozenset[str]

    def kept(self, pins: Pins) -> dict[str, Pin]:
        """The pins that stay as they are, those of other datasets too."""
        return {name: pin for name, pin in pins.items() if name not in self.take | self.drop}


def written_source(uri: Uri) -> str:
    """A source as the lockfile has it: without secrets, and Unicode text."""
    return _spelled(str(uri))


def plan_lock(
    pins: Pins,
    sources: Mapping[str, str],
    names: Collection[str] | None,
    upgrade: Collection[str],
) -> LockPlan:
    """Decides what locking `names` has to do; all of the catalog's, where they are None.

    `sources` has every dataset of the catalog. A pin stays as long as its source does, unless it
    is to be upgraded; what the catalog has no more is dropped where everything is locked.
    """
    wanted = set(sources) if names is None else {*names, *upgrade}
    take = {
        name
        for name in wanted
        if name in upgrade or name not in pins or pins[name].source != sources[name]
    }
    drop = set() if names is not None else set(pins) - set(sources)
    return LockPlan(tuple(sorted(wanted | drop)), frozenset(take), frozenset(drop))


def written(pins: Pins) -> str:
    """The text of catalog.lock.

    >>> print(written({"a": Pin("a.csv", 1, "0" * 64)}).partition("version")[2])
     = 1
    <BLANKLINE>
    [datasets.a]
    source = "a.csv"
    size_bytes = 1
    blake3 = "0000000000000000000000000000000000000000000000000000000000000000"
    <BLANKLINE>
    """
    tables = (_table(name, pins[name]) for name in sorted(pins))
    return "\n".join([f"{_HEAD}version = {FORMAT}\n", *tables])


def parsed(text: str, file: str) -> dict[str, Pin]:
    """The pins that the text of `file` holds.

    Raises:
        LockfileError: it is no lockfile of this format; the message has the line.
    """
    text = text.replace("\r\n", "\n")
    _refuse_odd_lines(text, file)
    # By name: it takes 4 ms to import, and only what is locked needs it.
    tomllib = importlib.import_module("tomllib")
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(_LINE, str(error))
        line = int(found[1]) if found and found[1] else text.count("\n") + 1
        raise LockfileError(file, f"not TOML: {re.sub(_LINE, '', str(error))}", line) from None
    if (version := tree.get("version")) != FORMAT or isinstance(version, bool):
        problem = f"its version is {_shown(version)}, and only {FORMAT} is known"
        if version is None:
            problem = f"it has no 'version = {FORMAT}'"
        raise LockfileError(file, problem, _line_of(text, r"version\b"))
    for key in tree.keys() - {"version", "datasets"}:
        problem = f"the key {_shown(key)} is not known"
        raise LockfileError(file, problem, _line_of(text, rf"{re.escape(key)}\b"))
    tables = tree.get("datasets", {})
    if not isinstance(tables, dict):
        raise LockfileError(file, "'datasets' is no table", _line_of(text, r"datasets\b"))
    return {name: _Table(text, file, name).pin(table) for name, table in tables.items()}


def _refuse_odd_lines(text: str, file: str) -> None:
    for number, line in enumerate(text.split("\n"), 1):
        if re.match(_CONFLICT, line):
            raise LockfileError(file, "a merge conflict is not solved", number)
        if not re.fullmatch(_SHAPE, line.strip(" \t")):
            problem = "neither a table such as [datasets.orders], nor a key and its value"
            raise LockfileError(file, problem, number)


class _Table:
    """The table of one dataset, on its way to become a pin."""

    def __init__(self, text: str, file: str, name: str) -> None:
        self.text, self.file, self.name = text, file, name

    def pin(self, table: Mapping[str, object]) -> Pin:
        if problem := name_problem(self.name):
            self._refuse(f"the dataset name {_shown(self.name)} {problem}")
        if unknown := sorted(table.keys() - set(_KEYS)):
            self._refuse(f"the key {_shown(unknown[0])} of {self.name!r} is not known")
        size, modified = table.get("size_bytes"), table.get("last_modified")
        if not isinstance(size, int) or isinstance(size, bool) or size < 0:
            self._refuse(f"size_bytes of {self.name!r} must be a number of bytes")
        return Pin(
            self._word(table.get("source"), "source"),
            size,
            self._digest(table.get("blake3")),
            self._word(table["version"], "version") if "version" in table else None,
            self._word(table["etag"], "etag") if "etag" in table else None,
            None if modified is None else self._time(modified),
        )

    def _word(self, value: object, key: str) -> str:
        if not isinstance(value, str) or not value:
            self._refuse(f"{key} of {self.name!r} must be text")
        return value

    def _digest(self, value: object) -> str:
        try:
            return Checksum.parse(f"blake3:{value}").digest
        except ValueError:
            self._refuse(f"blake3 of {self.name!r} must have 64 hexadecimal digits")

    def _time(self, value: object) -> datetime:
        if not isinstance(value, datetime) or value.tzinfo is None:
            self._refuse(f"last_modified of {self.name!r} must be a time with a zone")
        try:
            return value.astimezone(UTC)
        except OverflowError:
            self._refuse(f"last_modified of {self.name!r} is out of range")

    def _refuse(self, problem: str) -> NoReturn:
        name = re.escape(_key(self.name))
        line = _line_of(self.text, rf"\[\s*datasets\s*\.\s*[\"']?{name.strip(chr(34))}[\"']?\s*\]")
        raise LockfileError(self.file, problem, line)


def _line_of(text: str, pattern: str) -> int:
    found = re.search(rf"^[ \t]*{pattern}", text, re.MULTILINE)
    return 1 if found is None else text.count("\n", 0, found.start()) + 1


def _table(name: str, pin: Pin) -> str:
    values = (
        pin.source,
        pin.size_bytes,
        pin.digest,
        pin.version,
        pin.etag,
        pin.last_modified,
    )
    pairs = zip(_KEYS, values, strict=True)
    lines = [f"{key} = {_value(value)}" for key, value in pairs if value is not None]
    return "\n".join([f"[datasets.{_key(name)}]", *lines, ""])


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _quoted(name)


def _value(value: str | int | datetime) -> str:
    if isinstance(value, datetime):
        return moment(value)
    return _quoted(value) if isinstance(value, str) else str(value)


def moment(when: datetime) -> str:
    """A time as the lockfile has it.

    >>> moment(datetime(2026, 11, 21, 12, tzinfo=UTC))
    '2026-11-21T12:00:00Z'
    """
    return when.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _quoted(text: str) -> str:
    """A TOML basic string in which nothing hides: what does not print is escaped."""
    return f'"{"".join(_ESCAPES.get(c) or _printable(c) for c in text)}"'


def _printable(character: str) -> str:
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def _spelled(text: str) -> str:
    """`text` without lone surrogates, which are no Unicode text, and which TOML cannot hold."""
    return text.encode(errors="backslashreplace").decode()


def _word(value: object) -> str:
    if value is None:
        return "none"
    return moment(value) if isinstance(value, datetime) else _cut(str(value))


def _shown(value: object) -> str:
    return _cut(ascii(value))


def _cut(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:199]}…"

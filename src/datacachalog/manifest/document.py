"""YAML read as data that nobody vouches for: a tree of texts, each with its line.

PyYAML only splits the text into events here; it constructs nothing, so that no tag can run code
and no scalar turns into a date, a number or Norway's `false` behind the author's back. Every
limit stands below, and holds before work is done: nesting is counted while events arrive, since
libyaml takes time that grows with the square of the depth (100,000 levels: 18 s).

What the keys mean is not known here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NoReturn, TypeAlias

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_BYTES: Final = 1 << 20
MAX_DEPTH: Final = 20
MAX_VALUES: Final = 100_000
MAX_PROBLEMS: Final = 100

_MAX_MESSAGE = 300
_MAX_RESOLVED = 100  # characters; no number or date is longer, and the patterns stay cheap
_LOADER = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
_CORE_TAGS = {
    yaml.ScalarEvent: {"str", "int", "float", "bool", "null"},
    yaml.SequenceStartEvent: {"seq"},
    yaml.MappingStartEvent: {"map"},
}
_TAG_PREFIX = "tag:yaml.org,2002:"
_KINDS = {
    "bool": "a truth value",
    "float": "a number",
    "int": "a number",
    "null": "nothing",
    "timestamp": "a date",
}
# What YAML 1.1 §5.1 does not call printable. PyYAML has it compiled, which takes 4 ms.
_UNPRINTABLE = yaml.reader.Reader.NON_PRINTABLE
# libyaml compares each %TAG directive with all before it: 60,000 of them take 5 s.
_DIRECTIVE = re.compile(r"(?:\A|[\n\r\x85\u2028\u2029])%")


@dataclass(frozen=True, slots=True)
class Scalar:
    """A single value as it is written; `plain` where nothing says that it is text."""

    text: str
    line: int
    plain: bool = False

    @property
    def kind(self) -> str | None:
        """What most readers of YAML would take a plain value for, or None where it is text.

        >>> Scalar("no", 1, plain=True).kind, Scalar("no", 1).kind
        ('a truth value', None)
        """
        if not self.plain or len(self.text) > _MAX_RESOLVED:
            return None
        resolvers = yaml.SafeLoader.yaml_implicit_resolvers
        for tag, pattern in resolvers.get(self.text[:1], ()):
            if pattern.match(self.text):
                return _KINDS.get(tag.removeprefix(_TAG_PREFIX))
        return None

    @property
    def is_null(self) -> bool:
        """Whether nothing is written here: the value of `key:`, or a plain `null` or `~`."""
        return self.kind == _KINDS["null"]


@dataclass(frozen=True, slots=True)
class Items:
    """A sequence of values."""

    items: tuple[Node, ...]
    line: int


@dataclass(frozen=True, slots=True)
class Table:
    """A mapping, in the order it is written in. No key is there twice."""

    pairs: tuple[tuple[Scalar, Node], ...]
    line: int

    def get(self, key: str) -> Node | None:
        """The value of `key`, if there is one."""
        return next((node for name, node in self.pairs if name.text == key), None)


Node: TypeAlias = Scalar | Items | Table


class GaveUpError(Exception):
    """The document is too broken to go on with; its `Problems` say why."""


class Problems:
    """What is wrong with a document, each problem with its line."""

    def __init__(self) -> None:
        self._found: dict[tuple[int, str], None] = {}
        self._more = False

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, line: int, text: str) -> None:
        """Notes a problem, once.

        Raises:
            GaveUpError: there are so many that nobody will read them all.
        """
        if len(text) > _MAX_MESSAGE:
            text = f"{text[: _MAX_MESSAGE - 1]}…"
        if len(self._found) == MAX_PROBLEMS:
            self._more = True
            raise GaveUpError
        self._found[line, text] = None

    def stop(self, line: int, text: str) -> NoReturn:
        """Notes a problem that makes it senseless to read on."""
        self.add(line, text)
        raise GaveUpError

    def listed(self, name: str) -> tuple[str, ...]:
        """All problems by line, each beginning with `name` and the line.

        >>> problems = Problems()
        >>> problems.add(2, "key 'a' is written twice")
        >>> problems.listed("catalog.yaml")
        ("catalog.yaml:2: key 'a' is written twice",)
        """
        lines = [f"{name}:{line}: {text}" for line, text in sorted(self._found, key=lambda p: p[0])]
        if self._more:
            lines.append(f"{name}: and more; only the first {MAX_PROBLEMS} mistakes are listed")
        return tuple(lines)


def parse(data: bytes, problems: Problems) -> Node:
    """The tree of the one document in `data`; an empty one is an empty plain scalar.

    Mistakes that leave a tree to look at (duplicate keys, tags, merge keys) go to `problems`.

    Raises:
        GaveUpError: there is no tree, because the syntax is broken or a limit is passed.
    """
    text = _decoded(data, problems)
    try:
        return _Composer(problems).composed(yaml.parse(text, Loader=_LOADER))
    except yaml.YAMLError as error:
        _stop_at(error, text, problems)
    except (ValueError, OverflowError):  # an escape such as "\U00110000", where libyaml is absent
        problems.stop(1, "not YAML: found an escape that is no character")


def _stop_at(error: yaml.YAMLError, text: str, problems: Problems) -> NoReturn:
    line = _line_of(getattr(error, "problem_mark", None))
    message = f"not YAML: {getattr(error, 'problem', None) or 'it cannot be read'}"
    begin = _line_of(getattr(error, "context_mark", None))
    if begin < line and (context := getattr(error, "context", None)):
        message += f", {context} that begins in line {begin}"
    if any(row.lstrip(" ").startswith("\t") for row in text.split("\n")[line - 1 : line]):
        message += "; indent with spaces, not with tabs"
    problems.stop(line, message)


def _line_of(mark: object) -> int:
    """The line of a mark, of which PyYAML has two classes; 1 where it gives none."""
    return int(getattr(mark, "line", 0)) + 1


def _decoded(data: bytes, problems: Problems) -> str:
    if len(data) > MAX_BYTES:
        problems.stop(1, f"the file is larger than {MAX_BYTES // 1024} KiB")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        problems.stop(data.count(b"\n", 0, error.start) + 1, "the file is not UTF-8 text")
    if bad := _UNPRINTABLE.search(text):
        problems.stop(_line(text, bad), f"the control character {bad[0]!r} is not allowed")
    if directive := _DIRECTIVE.search(text):
        problems.stop(
            _line(text, directive), "YAML directives (lines that start with '%') are not supported"
        )
    return text


def _line(text: str, match: re.Match[str]) -> int:
    return text.count("\n", 0, match.end()) + 1


@dataclass(slots=True)
class _Open:
    """A collection whose end has not come yet."""

    event: yaml.CollectionStartEvent
    line: int
    values_before: int
    items: list[Node] = field(default_factory=list)


class _Composer:
    """Makes a tree of events, without recursion."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._root: Node | None = None
        self._open: list[_Open] = []
        self._anchors: dict[str | None, tuple[Node, int]] = {}
        self._values = 0

    def composed(self, events: Iterable[yaml.Event]) -> Node:
        for event in events:
            line = _line_of(event.start_mark)
            match event:
                case yaml.ScalarEvent():
                    self._put(self._scalar(event, line), event.anchor, 1, line)
                case yaml.AliasEvent():
                    self._put_alias(event.anchor, line)
                case yaml.CollectionStartEvent():
                    self._begin(event, line)
                case yaml.CollectionEndEvent():
                    self._end()
                case yaml.DocumentStartEvent() if self._root is not None:
                    self._problems.stop(line, "a second document starts here; one is expected")
                case _:
                    pass
        return self._root or Scalar("", 1, plain=True)

    def _put(self, node: Node, anchor: str | None, values: int, line: int) -> None:
        """Adds a node to what is open. It counts as `values`, which its aliases cost as well."""
        self._count(values, line)
        if anchor is not None:
            self._anchors[anchor] = node, values
        if self._open:
            self._open[-1].items.append(node)
        else:
            self._root = node

    def _count(self, values: int, line: int) -> None:
        self._values += values
        if self._values > MAX_VALUES:
            self._problems.stop(
                line, f"the file holds more than {MAX_VALUES} values, counting aliases"
            )

    def _scalar(self, event: yaml.ScalarEvent, line: int) -> Scalar:
        self._check_tag(event, line)
        if bad := _UNPRINTABLE.search(event.value):
            self._problems.add(line, f"the control character {bad[0]!r} is not allowed")
        plain = event.implicit[0] or event.tag not in {None, f"{_TAG_PREFIX}str"}
        return Scalar(event.value, line, plain=plain)

    def _put_alias(self, anchor: str | None, line: int) -> None:
        if anchor not in self._anchors:
            self._problems.stop(line, f"alias '*{anchor}' has no finished anchor before it")
        node, values = self._anchors[anchor]
        self._put(node, None, values, line)

    def _begin(self, event: yaml.CollectionStartEvent, line: int) -> None:
        self._check_tag(event, line)
        if len(self._open) == MAX_DEPTH:
            self._problems.stop(line, f"this is nested more than {MAX_DEPTH} levels deep")
        self._open.append(_Open(event, line, self._values))

    def _end(self) -> None:
        done = self._open.pop()
        if isinstance(done.event, yaml.SequenceStartEvent):
            node: Node = Items(tuple(done.items), done.line)
        else:
            node = Table(self._pairs(done.items), done.line)
        inside = self._values - done.values_before
        self._values = done.values_before
        self._put(node, done.event.anchor, inside + 1, done.line)

    def _pairs(self, items: list[Node]) -> tuple[tuple[Scalar, Node], ...]:
        pairs: dict[str, tuple[Scalar, Node]] = {}
        for key, value in zip(items[::2], items[1::2], strict=True):
            if not isinstance(key, Scalar):
                self._problems.add(key.line, "a key must be text")
            elif key.plain and key.text == "<<":
                self._problems.add(key.line, "merge keys ('<<') are not supported")
            elif key.text in pairs:
                first = pairs[key.text][0].line
                self._problems.add(key.line, f"key {key.text!r} is written in line {first} already")
            else:
                pairs[key.text] = key, value
        return tuple(pairs.values())

    def _check_tag(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent, line: int) -> None:
        tag = event.tag
        if tag is None or tag.removeprefix(_TAG_PREFIX) in _CORE_TAGS[type(event)]:
            return
        shown = tag.replace(_TAG_PREFIX, "!!")
        self._problems.add(line, f"tag {shown!r} is not allowed; this file is plain data")

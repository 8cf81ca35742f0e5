"""How the single values of catalog.yaml are read, each by what it means.

Values under `storage`, `cache`, `registry` and `view` may refer to environment variables:
`${NAME}`, or `${NAME:-default}` where it may be unset or empty; `$$` is a dollar sign. A reference
that comes to nothing leaves its key as if it were not written. Variables that sound like a secret
are refused: a catalog that somebody else wrote must not send secrets to an endpoint that it names.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from datacachalog.domain.checksum import Checksum
from datacachalog.domain.dataset import ON_UNREACHABLE, source_problem
from datacachalog.domain.durability import Durability
from datacachalog.domain.errors import InvalidUriError
from datacachalog.domain.freshness import Freshness
from datacachalog.domain.sizes import MinFree, parse_bytes
from datacachalog.domain.storage_options import ADDRESSING_STYLES, endpoint_problem
from datacachalog.domain.uri import Uri
from datacachalog.manifest.document import Items, Scalar

if TYPE_CHECKING:
    from collections.abc import Mapping

    from datacachalog.manifest.document import Node, Problems

T = TypeVar("T")

_REFERENCE = re.compile(r"\$(?:\$|\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^${}]*))?\}|)")
_SECRET = re.compile(
    r"(?i)secret|token(?!iz)|passw|passphrase|credential|connection_?string|jwt"
    r"|auth(?!or(?:s|_|$))|bearer|cookie|(?:api|access|private|signing|ssh)key"
    r"|(?:^|_)(?:dsn|key|keys|pass|pat|sas)(?:_|$)"
    r"|_pwd?(?:_|$)"  # PWD itself is a folder
    r"|(?:database|db|mongo|mysql|postgres|redis|amqp|broker)\w*_ur[il](?:_|$)"
)
# What no honest value needs: a catalog may refer to a long variable very often.
_MAX_REFERENCES = 16
_MAX_CHARACTERS = 4096
_TRUTH = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands, in the words of a message; it takes what is wrong with the value.

    `serves` tells whether there is a storage adapter for a scheme.
    """

    name: str
    problems: Problems
    environ: Mapping[str, str]
    serves: Callable[[str], bool]

    def at(self, key: str) -> Place:
        """The place of a key's value here."""
        return replace(self, name=f"{key!r} in {self.name}" if self.name else repr(key))

    def named(self, name: str) -> Place:
        """The same place by another name."""
        return replace(self, name=name)

    def wrong(self, line: int, problem: str) -> None:
        """Notes a problem, which is the rest of a sentence that begins with the place."""
        self.problems.add(line, f"{self.name or 'the catalog'} {problem}")


Reader: TypeAlias = Callable[["Node", Place], Any]
"""Gives a value, or None where there is none or it is wrong, which the place was told then."""


def expanded(text: str, environ: Mapping[str, str]) -> str:
    """`text` with its references to environment variables replaced.

    >>> expanded("${HOST:-localhost}:9000, $$5", {})
    'localhost:9000, $5'

    Raises:
        ValueError: a variable is not set or sounds like a secret, a `$` begins no reference, or
            it comes to more than anybody needs. The message is the rest of a sentence, and holds
            no value.
    """
    found: list[str] = []

    def value(match: re.Match[str]) -> str:
        if len(found) == _MAX_REFERENCES:
            raise ValueError(f"has more than {_MAX_REFERENCES} references")
        found.append(referred(match))
        if sum(map(len, found)) > _MAX_CHARACTERS:
            raise ValueError(f"comes to more than {_MAX_CHARACTERS} characters")
        return found[-1]

    def referred(match: re.Match[str]) -> str:
        name, default = match[1], match[2]
        if match[0] == "$$":
            return "$"
        if name is None:
            raise ValueError("has a '$' that begins no '${NAME}'; write '$$' for a dollar sign")
        if _SECRET.search(name):
            raise ValueError(f"refers to {name!r}, which sounds like a secret; none is needed here")
        if default is None and name not in environ:
            raise ValueError(f"refers to the variable {name!r}, which is not set")
        return environ.get(name) or default or ""

    return _REFERENCE.sub(value, text)


def version(node: Node, place: Place) -> int | None:
    """The version of the format; one that is not known makes the rest senseless."""
    if isinstance(node, Scalar) and node.plain and node.text == "1":
        return 1
    if isinstance(node, Scalar) and node.kind == "a number":
        problem = f"is {node.text}, and this release of datacachalog reads version 1 only"
        place.problems.stop(node.line, f"{place.name} {problem}")
    place.wrong(node.line, "must be the number 1")
    return None


def text(node: Node, place: Place) -> str | None:
    """One line of text. What YAML would not take for text must be quoted."""
    if not isinstance(node, Scalar):
        place.wrong(node.line, "must be text")
    elif node.is_null or not node.text:
        place.wrong(node.line, "is empty")
    elif node.kind:
        place.wrong(node.line, f"must be text, and {node.text} is {node.kind}; put it in quotes")
    elif not node.text.isprintable():
        place.wrong(node.line, "holds a control character")
    else:
        return node.text
    return None


def prose(node: Node, place: Place) -> str | None:
    """Text for people, which is taken as it is written, on any number of lines."""
    if isinstance(node, Scalar):
        return "" if node.is_null else node.text.strip()
    place.wrong(node.line, "must be text")
    return None


def flag(node: Node, place: Place) -> bool | None:
    """True or false; `yes` and `on` are text to some readers of YAML, and refused."""
    if isinstance(node, Scalar) and node.plain and node.text in _TRUTH:
        return _TRUTH[node.text]
    place.wrong(node.line, "must be true or false")
    return None


def tags(node: Node, place: Place) -> tuple[str, ...] | None:
    """A list of texts."""
    if not isinstance(node, Items):
        place.wrong(node.line, "must be a list, such as [sales, daily]")
        return None
    each = place.named(f"each of {place.name}")
    found = [text(item, each) for item in node.items]
    return tuple(tag for tag in found if tag is not None)


def freshness(node: Node, place: Place) -> Freshness | None:
    """A policy."""
    if not isinstance(node, Scalar):
        place.wrong(node.line, "must be always, never or a duration such as 10m")
        return None
    try:
        return Freshness.parse(node.text)
    except ValueError as error:
        place.wrong(node.line, str(error))
        return None


def checksum(node: Node, place: Place) -> Checksum | None:
    """What a dataset's bytes come to."""
    written = text(node, place)
    if written is None:
        return None
    try:
        return Checksum.parse(written)
    except ValueError as error:
        place.wrong(node.line, str(error))
        return None


def durability(node: Node, place: Place) -> Durability | None:
    """What the cache does about power cuts."""
    return _parsed(Durability.parse, node, place)


def max_size(node: Node, place: Place) -> int | None:
    """How many bytes the cache may take."""
    return _parsed(parse_bytes, node, place)


def min_free(node: Node, place: Place) -> MinFree | None:
    """What the disk of the cache must have left."""
    return _parsed(MinFree.parse, node, place)


def _parsed(parse: Callable[[str], T], node: Node, place: Place) -> T | None:
    """One word, a number perhaps, that may refer to variables."""
    filled = _filled_in(node, place, plain=True)
    if filled is None:
        return None
    try:
        return parse(filled.text if isinstance(filled, Scalar) else "")
    except ValueError as error:
        place.wrong(filled.line, str(error))
        return None


def on_unreachable(node: Node, place: Place) -> str | None:
    """What to do where a store cannot be reached."""
    if isinstance(node, Scalar) and node.text in ON_UNREACHABLE:
        return node.text
    place.wrong(node.line, f"must be {' or '.join(ON_UNREACHABLE)}")
    return None


def source(node: Node, place: Place) -> Uri | None:
    """The address of one object. No message repeats it: there might be a secret in it."""
    written = text(node, place)
    if written is None:
        return None
    try:
        uri = Uri.parse(written)
    except InvalidUriError as error:
        place.wrong(node.line, error.problem)
        return None
    if problem := _source_problem(written, uri, place.serves):
        place.wrong(node.line, problem)
        return None
    return uri


def _source_problem(written: str, uri: Uri, serves: Callable[[str], bool]) -> str | None:
    if uri.scheme != "file" and not uri.path:
        return "names no object, only where objects are"
    if problem := source_problem(written):
        return problem
    if serves(uri.scheme):
        return None
    if uri.scheme in {"s3a", "s3n"}:  # as Hadoop and Spark have it
        return f"is on '{uri.scheme}://'; did you mean 's3://'?"
    return f"is on '{uri.scheme}://', which no storage adapter serves; s3:// and paths are built in"


def option(node: Node, place: Place) -> str | None:
    """One line of text that may refer to variables."""
    filled = _filled_in(node, place, plain=False)
    return None if filled is None else text(filled, place)


def option_flag(node: Node, place: Place) -> bool | None:
    """True or false, or a reference to a variable that says which."""
    filled = _filled_in(node, place, plain=True)
    return None if filled is None else flag(filled, place)


def _filled_in(node: Node, place: Place, *, plain: bool) -> Node | None:
    """The node, its references replaced: then it is `plain`, or text whatever it looks like."""
    if not isinstance(node, Scalar) or "$" not in node.text:
        return node
    try:
        found = expanded(node.text, place.environ)
    except ValueError as error:
        place.wrong(node.line, str(error))
        return None
    return Scalar(found, node.line, plain=plain) if found else None


def addressing_style(node: Node, place: Place) -> str | None:
    """Where a bucket's name goes."""
    style = option(node, place)
    if style is None or style in ADDRESSING_STYLES:
        return style
    place.wrong(node.line, f"must be {' or '.join(ADDRESSING_STYLES)}")
    return None


def endpoint_url(node: Node, place: Place) -> str | None:
    """The address of a store. No message repeats it: there might be a secret in it."""
    url = option(node, place)
    if url is not None and (problem := endpoint_problem(url)):
        place.wrong(node.line, problem)
        return None
    return url


def folders(node: Node, place: Place) -> tuple[str, ...] | None:
    """A list of folders."""
    if not isinstance(node, Items):
        place.wrong(node.line, "must be a list of folders, such as [/mnt/shared/cache]")
        return None
    found = [folder(item, place.named(f"each of {place.name}")) for item in node.items]
    return tuple(one for one in found if one is not None)


def folder(node: Node, place: Place) -> str | None:
    """A folder of this machine, which may be relative; `~/` is the home folder."""
    path = option(node, place)
    if path is None or (path[0] != "~" and "://" not in path):
        return path
    home, (start, _, rest) = place.environ.get("HOME"), path.partition("/")
    if "://" in path:
        place.wrong(node.line, "must be a folder of this machine, not a URI")
    elif start != "~":
        place.wrong(node.line, "begins with '~' and a name; only '~/' is known")
    elif not home:
        place.wrong(node.line, "begins with '~', and the variable 'HOME' is not set")
    else:
        return f"{home}/{rest}"
    return None


def view(node: Node, place: Place) -> tuple[str, int] | None:
    """A folder, as `folder` has it, and its line: what is wrong with it shows beside the others."""
    path = folder(node, place)
    return None if path is None else (path, node.line)

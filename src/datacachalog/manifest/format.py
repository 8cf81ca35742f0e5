"""The keys of catalog.yaml: what each means, how its value is read, and its JSON Schema.

The tables at the end are the only list of keys there is; the reader and the schema for editors
both follow them. Keys of later releases are listed as such, so that they are refused and never
silently ignored. Files, folders and `Dataset` objects are made elsewhere (`loading`).
"""

from __future__ import annotations

import difflib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from datacachalog.domain.checksum import LENGTHS
from datacachalog.domain.dataset import ON_UNREACHABLE, name_problem
from datacachalog.domain.durability import Durability
from datacachalog.domain.storage_options import (
    ADDRESSING_STYLES,
    StorageOptions,
    normal_prefix,
    prefix_problem,
)
from datacachalog.manifest import values
from datacachalog.manifest.document import Scalar, Table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from datacachalog.manifest.document import Node
    from datacachalog.manifest.values import Place, Reader

# Plain http that somebody wrote, at least as a default: `${MINIO:-http://127.0.0.1:9000}`.
_SAYS_HTTP = re.compile(r"(?i)(?:\$\{\w+:-)?http://")

Schema: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a mapping: its meaning, how its value is read, and what editors let pass."""

    description: str
    read: Reader
    schema: Schema
    required: str = ""
    """What to write where it is missing; empty where it may be."""


@dataclass(frozen=True, slots=True)
class Section:
    """A mapping with known keys. `later` are those that a later release will bring."""

    keys: Mapping[str, Key]
    later: frozenset[str] = frozenset()

    def read(self, node: Node, place: Place) -> dict[str, Any] | None:
        """The values by key, without those that are absent or wrong; None for no mapping."""
        if isinstance(node, Scalar) and node.is_null:
            node = Table((), node.line)
        if not isinstance(node, Table):
            place.wrong(node.line, f"must be a mapping, such as '{next(iter(self.keys))}: …'")
            return None
        found = {}
        for key, value in node.pairs:
            if known := self.keys.get(key.text):
                found[key.text] = known.read(value, place.at(key.text))
            else:
                self._refuse(key, place)
        for name, known in self.keys.items():
            if known.required and name not in found:
                place.wrong(node.line, f"has no {name!r}; add '{known.required}'")
        return {name: value for name, value in found.items() if value is not None}

    def _refuse(self, key: Scalar, place: Place) -> None:
        if key.text in self.later:
            place.problems.add(key.line, f"{key.text!r} is not supported yet")
            return
        problem = f"unknown key {key.text!r}" + (f" in {place.name}" if place.name else "")
        similar = difflib.get_close_matches(key.text[:40], self.keys, n=1)
        expected = (
            f"did you mean {similar[0]!r}?" if similar else f"known keys are {', '.join(self.keys)}"
        )
        place.problems.add(key.line, f"{problem}; {expected}")

    def schema(self) -> Schema:
        """The JSON Schema of such a mapping."""
        properties = {
            name: {"description": key.description, **key.schema} for name, key in self.keys.items()
        }
        required = [name for name, key in self.keys.items() if key.required]
        schema: Schema = {"type": "object" if required else ["object", "null"]}
        if required:
            schema["required"] = required
        return {**schema, "additionalProperties": False, "properties": properties}


def _storage(node: Node, place: Place) -> dict[str, StorageOptions]:
    """The options by prefix, in the one spelling of each prefix."""
    table: dict[str, StorageOptions] = {}
    lines: dict[str, int] = {}
    for key, value in _pairs(node, place, "URI prefixes to options"):
        prefix = normal_prefix(key.text)
        problem = _prefix_problem(key.text)
        if problem is None and prefix in lines:
            problem = f"is written in line {lines[prefix]} already, spelled otherwise"
        if problem:
            place.named("prefix in 'storage'").wrong(key.line, problem)
        here = place if problem else place.named(f"storage {key.text!r}")
        table[prefix] = _storage_options(value, here)
        lines[prefix] = key.line
    return table


def _prefix_problem(prefix: str) -> str | None:
    if normal_prefix(prefix).startswith("datlake://"):
        return "is of tables; how their registry is reached, 'registry' says"
    return prefix_problem(prefix)


def _storage_options(node: Node, place: Place) -> StorageOptions:
    found = STORAGE_OPTIONS.read(node, place) or {}
    written = node.get("endpoint_url") if isinstance(node, Table) else None
    if isinstance(written, Scalar) and (problem := _http_problem(found, written.text)):
        place.at("endpoint_url").wrong(written.line, problem)
        return StorageOptions()
    return StorageOptions(**found)


def _http_problem(found: Mapping[str, Any], written: str) -> str | None:
    """What is wrong with an endpoint that comes to plain http, or None."""
    allowed = found.get("allow_http")
    if allowed or not found.get("endpoint_url", "").lower().startswith("http://"):
        return None
    if allowed is False:
        return "is plain http, which 'allow_http: false' forbids"
    if _SAYS_HTTP.match(written):
        return None
    return "is plain http by an environment variable; add 'allow_http: true' if that is meant"


def _datasets(node: Node, place: Place) -> dict[str, dict[str, Any]]:
    """The values of each dataset by name, in the order of the file."""
    table = {}
    for key, value in _pairs(node, place, "names to datasets"):
        here = place.named(f"dataset {key.text!r}")
        if problem := name_problem(key.text):
            place.named("dataset name").wrong(key.line, f"{key.text!r} {problem}")
        table[key.text] = DATASET.read(value, here) or {}
    return table


def _pairs(node: Node, place: Place, what: str) -> tuple[tuple[Scalar, Node], ...]:
    if isinstance(node, Table):
        return node.pairs
    if not (isinstance(node, Scalar) and node.is_null):
        place.wrong(node.line, f"must map {what}")
    return ()


_NO_SOURCE = (
    r"~/|~$|[A-Za-z0-9+.-]+://[^/]*@|"
    r"[A-Za-z][A-Za-z0-9+.-]+:/(?!/)|(?:s3[an]?|gs|https?|file|datlake)(?::(?!/)|//)"
)
_TABLE_NAME = r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}"
_TABLE = (
    rf"[Dd][Aa][Tt][Ll][Aa][Kk][Ee]://(?:{_TABLE_NAME}\.)?{_TABLE_NAME}"
    r"(?:@[A-Za-z0-9][A-Za-z0-9._-]{0,63})?"
)
_NO_VIEW = r"://|^(?:\./)*\.?$|^(?:\./+)*\.\.(?:/|$)"
_TEXT: Final[Schema] = {"type": "string", "minLength": 1}
_FLAG_OR_REFERENCE: Final[Schema] = {
    "anyOf": [{"type": "boolean"}, {"type": "string", "pattern": r"\$\{"}]
}
_FRESHNESS = Key(
    "How old a check may be before the store is asked again: always (ask at every fetch), never, "
    "or a duration such as 90s, 10m, 12h, 7d, 2w or '1h 30m'.",
    values.freshness,
    {"type": "string", "pattern": r"^(always|never|\s*([0-9]{1,9}\s*[smhdw]\s*)+)$"},
)
_ON_UNREACHABLE = Key(
    "What a fetch does where the store cannot be reached: stale serves the cached copy, with a "
    "warning; fail is an error. stale by default.",
    values.on_unreachable,
    {"enum": list(ON_UNREACHABLE)},
)
_CHECKSUM = f"^({'|'.join(f'{name}:[0-9A-Fa-f]{{{n}}}' for name, n in LENGTHS.items())})$"

DATASET: Final = Section(
    {
        "source": Key(
            "Where the object is: s3://bucket/key, another URI, or a path, which may be relative "
            "to the folder of this file. datlake://table is a table of the registry, "
            "datlake://table@snapshot one snapshot of it.",
            values.source,
            {
                **_TEXT,
                "pattern": rf"^(?:{_TABLE}|(?!datlake:|{_NO_SOURCE})[^*?\[\]{{}}]*[^*?\[\]{{}}/])$",
            },
            required="source: s3://bucket/key",
        ),
        "description": Key(
            "What the dataset is, for people.",
            values.prose,
            {"type": ["string", "number", "boolean", "null"]},
        ),
        "tags": Key(
            "Words to find the dataset by.", values.tags, {"type": "array", "items": dict(_TEXT)}
        ),
        "freshness": _FRESHNESS,
        "on_unreachable": _ON_UNREACHABLE,
        "checksum": Key(
            "What the bytes must come to: sha256:, md5: or blake3: and the digits. Others are "
            "never handed out.",
            values.checksum,
            {"type": "string", "pattern": _CHECKSUM},
        ),
        "push": Key(
            "Whether the object may be replaced through this catalog; true by default.",
            values.flag,
            {"type": "boolean"},
        ),
    },
    later=frozenset({"format", "params"}),
)

STORAGE_OPTIONS: Final = Section(
    {
        "endpoint_url": Key(
            "The address of the store, instead of the vendor's own: https://host:port.",
            values.endpoint_url,
            {**_TEXT, "pattern": r"^([Hh][Tt][Tt][Pp][Ss]?://[^@?#\s]+|[^@?#]*\$\{.*)$"},
        ),
        "region": Key("The region of the store.", values.option, _TEXT),
        "profile": Key(
            "The section of the vendor's configuration file to take credentials from.",
            values.option,
            _TEXT,
        ),
        "anonymous": Key("Send no credentials.", values.option_flag, _FLAG_OR_REFERENCE),
        "allow_http": Key(
            "Whether requests may travel unencrypted; by default only where endpoint_url is "
            "written as http://.",
            values.option_flag,
            _FLAG_OR_REFERENCE,
        ),
        "addressing_style": Key(
            "Where the bucket's name goes: path (host/bucket) or virtual (bucket.host).",
            values.addressing_style,
            {"anyOf": [{"enum": list(ADDRESSING_STYLES)}, {"type": "string", "pattern": r"\$\{"}]},
        ),
    }
)

_SIZE = r"\$\{|^\s*[0-9]{1,15}(\.[0-9]{1,9})?\s*([KkMmGgTtPp][Ii]?)?[Bb]?\s*$"
_SHARE = r"[0-9]{1,2}(\.[0-9]{1,3})?\s*%"

_CACHE: Final = Section(
    {
        "dir": Key(
            "The folder that keeps fetched files; a relative one starts at the folder of this "
            "file, ~ is your home.",
            values.folder,
            {**_TEXT, "not": {"pattern": "://"}},
        ),
        "durability": Key(
            "What the cache does about power cuts: lazy, which is the default, reads a copy once "
            "after the machine was started anew; strict syncs it to the disk; none trusts it.",
            values.durability,
            {"anyOf": [{"enum": list(Durability)}, {"type": "string", "pattern": r"\$\{"}]},
        ),
        "layers": Key(
            "Folders of other caches, which are only read: what they hold is not fetched again.",
            values.folders,
            {"type": "array", "items": {**_TEXT, "not": {"pattern": "://"}}},
        ),
        "shared": Key(
            "Whether others may write to the cache, and are trusted; the group then may. false by "
            "default.",
            values.option_flag,
            _FLAG_OR_REFERENCE,
        ),
        "max_size": Key(
            "How much the files may take, such as 20GB: after a fetch, the least recently used "
            "ones go. Without a limit by default.",
            values.max_size,
            {"type": ["integer", "string"], "minimum": 0, "pattern": _SIZE},
        ),
        "min_free": Key(
            "What the disk keeps free: a share such as 5%, which is the default, or a size; 0 "
            "asks for nothing.",
            values.min_free,
            {
                "type": ["integer", "string"],
                "minimum": 0,
                "pattern": rf"{_SIZE}|^\s*{_SHARE}\s*$",
                "not": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 100},
            },
        ),
    },
)
_DEFAULTS: Final = Section({"freshness": _FRESHNESS, "on_unreachable": _ON_UNREACHABLE})
_REGISTRY: Final = Section(
    {
        "url": Key(
            "The address of the registry: https://host:port. DATLAKE_API_URL by default. The key "
            "is never written here: DATLAKE_API_KEY has it.",
            values.endpoint_url,
            {**_TEXT, "pattern": r"^([Hh][Tt][Tt][Pp][Ss]?://[^@?#\s]+|[^@?#]*\$\{.*)$"},
        )
    }
)

CATALOG: Final = Section(
    {
        "version": Key(
            "The version of this format.", values.version, {"const": 1}, required="version: 1"
        ),
        "cache": Key("Where fetched files are kept.", _CACHE.read, _CACHE.schema()),
        "view": Key(
            "A folder for links to the current copies, customers.csv and so on; it is in the "
            "folder of this file.",
            values.view,
            {**_TEXT, "not": {"pattern": _NO_VIEW}},
        ),
        "defaults": Key(
            "What holds for datasets that do not say otherwise.", _DEFAULTS.read, _DEFAULTS.schema()
        ),
        "storage": Key(
            "How stores are reached, by URI prefix; the longest prefix that fits wins. Values may "
            "refer to environment variables: ${NAME} or ${NAME:-default}.",
            _storage,
            {
                "type": ["object", "null"],
                "propertyNames": {
                    "pattern": r"^(?!file:|datlake:)[A-Za-z][A-Za-z0-9+.-]*://[^@\s?#*{}\[\]]*$"
                },
                "additionalProperties": STORAGE_OPTIONS.schema(),
            },
        ),
        "registry": Key(
            "Where the tables of datlake:// are looked up.", _REGISTRY.read, _REGISTRY.schema()
        ),
        "datasets": Key(
            "The datasets by name.",
            _datasets,
            {
                "type": ["object", "null"],
                "propertyNames": {"pattern": r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"},
                "additionalProperties": DATASET.schema(),
            },
        ),
    },
    later=frozenset({"environments"}),
)


def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 7) of catalog.yaml, for editors.

    It lets pass what `load` does; only `load` finds duplicate keys, unset variables and the like.
    """
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "catalog.yaml of datacachalog, version 1",
        **CATALOG.schema(),
    }


def schema_text() -> str:
    """The text of `catalog.schema.json`."""
    return json.dumps(json_schema(), indent=2) + "\n"

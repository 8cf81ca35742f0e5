"""What a registry has told of snapshots, kept on this machine: text, and never another's.

Below the folder, everything has a name that a person can read:

    v1/<registry>/<credentials>/<table>/latest.json
    v1/<registry>/<credentials>/<table>/<snapshot id>/snapshot.json
    v1/<registry>/<credentials>/<table>/<snapshot id>/sample.json

`<credentials>` is a digest that no key can be got from. A snapshot never changes, so its record is
right for as long as it is there; what is in `latest.json` is only what was current once.
"""

from __future__ import annotations

import hashlib
import importlib
import re
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from datacachalog.adapters.api.metadata_files import MAX_BYTES, JsonFolder
from datacachalog.adapters.api.reading import record
from datacachalog.domain.errors import CacheError, ServerError
from datacachalog.domain.registry import Snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

FORMAT: Final = 1
MOST_SNAPSHOTS: Final = 1000
"""Kept of a table; beyond that, those that were written first go."""
MOST_CREDENTIALS: Final = 100
"""Kept of a registry: tokens that live for an hour each would be thousands a year."""
MAX_SAMPLE_BYTES: Final = 1 << 20

_LATEST, _SNAPSHOT, _SAMPLE = "latest.json", "snapshot.json", "sample.json"
_ID = re.compile(r"snap-[0-9a-f]{32}")
# Keys have 256 random bits, and tokens a signature: a digest that is quick to make will do, as
# nobody can try them all.
_CONTEXT: Final = b"datlake-metadata"


@dataclass(frozen=True, slots=True)
class Latest:
    """What was current when the registry was asked at `checked_at`, and its ETag."""

    snapshot: Snapshot
    etag: str | None
    checked_at: datetime


@dataclass(frozen=True, slots=True)
class Held:
    """How much is in the cache."""

    snapshots: int = 0
    samples: int = 0
    size_bytes: int = 0


class MetadataCache:
    """What one caller was told by one registry, in `folder`. Threads, forks and processes share it.

    Making one touches no disk and keeps no key. What cannot be read is a miss; where nothing can be
    written, or the folder is not safe, everything is a miss, and a warning is logged once. Tables
    are known by name, with or without `default.`.
    """

    def __init__(self, folder: Path, registry: str, api_key: str | None = None) -> None:
        self.folder = folder
        self._files = JsonFolder(folder)
        self._identity = registry
        self._registry = _named(registry.partition("://")[2])
        self._credentials = f"{self._registry}/key-{_digest_of(registry, api_key)}"
        self._bypassed: set[str] = set()
        self._has_warned = False

    def __repr__(self) -> str:
        return f"MetadataCache({str(self.folder)!r}, {self._identity!r})"

    def snapshot(self, table_name: str, snapshot_id: str) -> Snapshot | None:
        """A snapshot by its id, if it is held."""
        found = self._read(table_name, f"{_folder_of(snapshot_id)}/{_SNAPSHOT}")
        return self._snapshot_in(found, table_name, snapshot_id)

    def keep(self, snapshot: Snapshot) -> None:
        """Keeps a snapshot, for as long as there is room."""
        name = f"{_folder_of(snapshot.snapshot_id)}/{_SNAPSHOT}"
        if self._write(snapshot.table_name, name, {"snapshot": _told(snapshot)}):
            self._trim(self._table(snapshot.table_name), MOST_SNAPSHOTS)
            self._trim(self._registry, MOST_CREDENTIALS)

    def latest(self, table_name: str) -> Latest | None:
        """What was current last, as far as is known here."""
        match self._read(table_name, _LATEST):
            case {
                "snapshot_id": str(snapshot_id),
                "etag": str() | None as etag,
                "checked_at": str(checked_at),
            }:
                found, when = self.snapshot(table_name, snapshot_id), _aware(checked_at)
                return None if found is None or when is None else Latest(found, etag, when)
        return None

    def keep_latest(self, latest: Latest) -> None:
        """Keeps what is current, and the snapshot itself."""
        one = latest.snapshot
        if self.snapshot(one.table_name, one.snapshot_id) != one:
            self.keep(one)
        told = {
            "snapshot_id": one.snapshot_id,
            "etag": latest.etag,
            "checked_at": latest.checked_at.isoformat(),
        }
        self._write(one.table_name, _LATEST, told)

    def forget_latest(self, table_name: str) -> None:
        """Has it be asked again what is current."""
        with self._failing_softly():
            self._files.remove(f"{self._table(table_name)}/{_LATEST}")

    def forget(self, table_name: str) -> None:
        """Has nothing of a table be held under these credentials, even if it cannot be removed."""
        folder = self._table(table_name)
        self._bypassed.add(folder)
        with self._failing_softly():
            self._files.remove(folder)
            self._bypassed.discard(folder)

    def sample_get(
        self, table_name: str, snapshot_id: str, rows: int
    ) -> list[dict[str, Any]] | None:
        """The first rows of a snapshot: `rows` of them, or all there are; None if not held."""
        match self._read(table_name, f"{_folder_of(snapshot_id)}/{_SAMPLE}"):
            case {
                "snapshot_id": found,
                "rows": list(held),
                "is_whole": bool(is_whole),
            } if found == snapshot_id and (is_whole or len(held) >= rows):
                return held[:rows] if all(isinstance(one, dict) for one in held) else None
        return None

    def sample_put(
        self,
        table_name: str,
        snapshot_id: str,
        rows: Sequence[Mapping[str, Any]],
        *,
        is_whole: bool = False,
    ) -> bool:
        """Keeps the first rows of a snapshot; `is_whole` where it has no more. Whether it did.

        Not what JSON has no words for (times, bytes, NaN), nor more than 1 MiB.
        """
        told = {"snapshot_id": snapshot_id, "rows": list(rows), "is_whole": is_whole}
        name = f"{_folder_of(snapshot_id)}/{_SAMPLE}"
        return self._write(table_name, name, told, MAX_SAMPLE_BYTES) is not None

    def held(self, table_name: str | None = None) -> Held:
        """How much is held, by whatever registry and credentials; or of one table at this one.

        Raises:
            CacheError: it cannot be told.
        """
        found = [one for path in self._paths(table_name) for one in self._files.files(path)]
        names = [name for name, _ in found]
        return Held(names.count(_SNAPSHOT), names.count(_SAMPLE), sum(size for _, size in found))

    def clear(self, table_name: str | None = None) -> Held:
        """Removes everything, or what any credentials hold of a table at this registry; how much.

        What comes in while it is at work may stay.

        Raises:
            CacheError: it cannot be removed.
        """
        was = self.held(table_name)
        for path in self._paths(table_name):
            self._files.remove(path)
        return was

    def _paths(self, table_name: str | None) -> list[str]:
        if table_name is None:
            return self._files.names()
        table = _named(_plain(table_name))
        return [f"{self._registry}/{one}/{table}" for one in self._files.names(self._registry)]

    def _table(self, name: str) -> str:
        return f"{self._credentials}/{_named(_plain(name))}"

    def _read(self, table_name: str, name: str) -> dict[str, Any]:
        """What one of our own files says of a table, empty if there is none."""
        folder = self._table(table_name)
        found: dict[str, Any] | None = None
        with self._failing_softly():
            found = self._files.read(f"{folder}/{name}")
        if found is None or folder in self._bypassed:
            return {}
        told = (found.get("format"), found.get("registry"), found.get("table"))
        return found if told == (FORMAT, self._identity, _plain(table_name)) else {}

    def _snapshot_in(
        self, found: dict[str, Any], table_name: str, snapshot_id: str
    ) -> Snapshot | None:
        try:
            made = record(Snapshot, found.get("snapshot"))
        except ServerError:  # damaged, or nothing at all
            return None
        is_it = (made.table_name, made.snapshot_id) == (_plain(table_name), snapshot_id)
        return made if is_it and made.created_at.tzinfo is not None else None

    def _write(
        self,
        table_name: str,
        name: str,
        value: Mapping[str, Any],
        most_bytes: int = MAX_BYTES,
    ) -> bool | None:
        """Writes one of our own files; whether its folder is new, None where it is not written."""
        table, folder = _plain(table_name), self._table(table_name)
        told = {"format": FORMAT, "registry": self._identity, "table": table, **value}
        with self._failing_softly(), suppress(ValueError, TypeError, RecursionError):
            is_new = self._files.write(f"{folder}/{name}", told, most_bytes)
            self._bypassed.discard(folder)
            return is_new
        return None

    def _trim(self, folder: str, most: int) -> None:
        with self._failing_softly():
            for name in self._files.names(folder)[:-most]:
                if name != _LATEST:
                    self._files.remove(f"{folder}/{name}")

    @contextmanager
    def _failing_softly(self) -> Iterator[None]:
        """A cache that fails is none; that it does is said once."""
        try:
            yield
        except CacheError as error:
            if not self._has_warned:
                self._has_warned = True
                # By name: importing it takes 5 ms, and a cache that works needs none.
                log = importlib.import_module("logging").getLogger(__name__)
                # Not the error's own hint: that is of the cache of objects.
                log.warning("metadata is not cached: %s (DATLAKE_CACHE_DIR moves it)", error)


def _plain(table_name: str) -> str:
    """A table's name as a registry tells it: without the namespace that need not be said."""
    return table_name.removeprefix("default.")


def _told(snapshot: Snapshot) -> dict[str, Any]:
    told = {each.name: getattr(snapshot, each.name) for each in fields(snapshot)}
    told["created_at"] = snapshot.created_at.isoformat()
    told["schema"] = None if snapshot.schema is None else dict(snapshot.schema)
    return told


def _aware(text: str) -> datetime | None:
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if when.tzinfo is None else when


def _folder_of(snapshot_id: str) -> str:
    return snapshot_id if _ID.fullmatch(snapshot_id) else _named(snapshot_id)


def _named(text: str) -> str:
    """A name of a file for any text: readable, on any disk, and another one for any other text.

    >>> _named("CON"), _named("../Team.Sales")
    ('con-a3dbc4b644a9', 'team.sales-f5de54f17c39')
    """
    slug = re.sub(r"[^a-z0-9._]+", "-", text.lower()).strip("-._")[:40]
    digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
    return f"{slug or 'x'}-{digest[:12]}"


def _digest_of(registry: str, api_key: str | None) -> str:
    """What tells one caller's folder from another's, and tells nobody the key."""
    hasher = hashlib.blake2b(digest_size=16, person=_CONTEXT)
    for part in (registry, api_key or ""):
        data = part.encode(errors="surrogatepass")
        hasher.update(len(data).to_bytes(8, "big") + data)
    return hasher.hexdigest()

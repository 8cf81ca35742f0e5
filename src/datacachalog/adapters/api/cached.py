"""A registry that is not asked twice for what never changes."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from datacachalog.adapters.api.metadata import Latest
from datacachalog.domain.errors import ApiOfflineError, AuthError, NotFoundError
from datacachalog.domain.objects import NOT_MODIFIED
from datacachalog.ports import SILENT, DatlakeApiPort

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from datacachalog.adapters.api.metadata import MetadataCache
    from datacachalog.domain.objects import NotModified
    from datacachalog.domain.registry import Registration, Snapshot
    from datacachalog.ports import Clock, TransferProgress


class RevalidatingApi(DatlakeApiPort, Protocol):
    """A registry that tells the ETag of what is current, and whether that is so still."""

    def latest_at(self, table_name: str) -> tuple[Snapshot, str | None]:
        """The current snapshot, and its ETag."""
        ...

    def latest_if_changed(
        self, table_name: str, etag: str
    ) -> tuple[Snapshot, str | None] | NotModified:
        """The same, or `NOT_MODIFIED` where the ETag is `etag` still."""
        ...


def _utc_now() -> datetime:
    return datetime.now(UTC)


class CachedApi:
    """A `DatlakeApiPort` in front of another one, for one caller of one registry.

    A snapshot by its id is asked for once. The latest one is asked for with the ETag of the one
    that is held, unless it was asked for less than `latest_ttl_s` ago. With `offline`, nothing is
    ever asked: what is held is the answer, however old, and `ApiOfflineError` all the rest.

    A registry that cannot be reached is an error, and never a reason to answer with what may be
    old. Where it says that the caller may not, or that something is not there (401, 403, 404),
    nothing of the table is held any more.
    """

    def __init__(
        self,
        api: RevalidatingApi,
        cache: MetadataCache,
        *,
        latest_ttl_s: float = 0.0,
        offline: bool = False,
        clock: Clock = _utc_now,
    ) -> None:
        self.cache = cache
        self._api, self._clock = api, clock
        self._ttl = timedelta(seconds=latest_ttl_s)
        self._is_offline = offline
        # How often something has changed, or was refused: what was asked before is not kept after.
        self._changes = 0
        # When this caller changed a table: what others were told before may be kept after.
        self._changed_at: dict[str, datetime] = {}

    def identity(self) -> str:
        return self._api.identity()

    def latest(self, table_name: str) -> Snapshot:
        held = self.cache.latest(table_name)
        if held is not None and (self._is_offline or self._is_fresh(held, table_name)):
            return held.snapshot
        asked_at, changes = self._clock(), self._changes
        with self._asking(table_name, f"the latest snapshot of {table_name!r}"):
            made = Latest(*self._current(table_name, held), asked_at)
        if changes == self._changes and _is_of(made.snapshot, table_name):
            self._keep(made, held)
        return made.snapshot

    def latest_as_of(self, table_name: str, as_of: datetime) -> Snapshot:
        return self.answered(table_name, lambda: self._api.latest_as_of(table_name, as_of))

    def snapshot(self, table_name: str, snapshot_id: str) -> Snapshot:
        held = self.cache.snapshot(table_name, snapshot_id)
        if held is not None:
            return held
        return self.answered(table_name, lambda: self._api.snapshot(table_name, snapshot_id))

    def snapshots(self, table_name: str) -> Iterator[Snapshot]:
        with self._asking(table_name, f"the snapshots of {table_name!r}"):
            yield from self._api.snapshots(table_name)

    def register(self, asked: Registration) -> Snapshot:
        self._require_online(f"the registration of {asked.table_name!r}")
        try:
            made = self._api.register(asked)
        finally:  # also where it fails: another snapshot may be current than we know of
            self.changed(asked.table_name)
        self.cache.keep(made)
        return made

    def upload(
        self, path: Path, bucket: str, name: str, progress: TransferProgress = SILENT
    ) -> str:
        self._require_online(f"the upload of {str(path)!r}")
        return self._api.upload(path, bucket, name, progress)

    def download_snapshot(
        self, snapshot: Snapshot, dest: Path, progress: TransferProgress = SILENT
    ) -> None:
        self._require_online(f"the object of {snapshot.snapshot_id}")
        self._api.download_snapshot(snapshot, dest, progress)

    def answered(self, table_name: str, ask: Callable[[], Snapshot]) -> Snapshot:
        """The snapshot that `ask` gets from the registry, kept by its id.

        For questions whose answers change: what was current at a time, what has a tag.

        Raises:
            ApiOfflineError: nothing is to be asked.
        """
        changes = self._changes
        with self._asking(table_name, f"a snapshot of {table_name!r}"):
            made = ask()
        if changes == self._changes and _is_of(made, table_name):
            self.cache.keep(made)
        return made

    def changed(self, table_name: str) -> None:
        """Says that another snapshot of a table may be current from now on.

        To be called after whatever changes a table by another way than `register`, or the caller
        would not see its own change for as long as `latest_ttl_s`.
        """
        self._changes += 1
        self._changed_at[_plain(table_name)] = self._clock()
        self.cache.forget_latest(table_name)

    def _current(self, table_name: str, held: Latest | None) -> tuple[Snapshot, str | None]:
        if held is None or held.etag is None:
            return self._api.latest_at(table_name)
        found = self._api.latest_if_changed(table_name, held.etag)
        return (held.snapshot, held.etag) if found is NOT_MODIFIED else found

    def dropped(self, table_name: str) -> None:
        """Says that a table is there no more: nothing of it is held."""
        self._changes += 1
        self.cache.forget(table_name)

    def _is_fresh(self, held: Latest, table_name: str) -> bool:
        changed_at = self._changed_at.get(_plain(table_name), held.checked_at)
        # A time to come is that of another clock, and says nothing.
        is_recent = timedelta(0) <= self._clock() - held.checked_at < self._ttl
        return is_recent and changed_at <= held.checked_at

    def _keep(self, latest: Latest, held: Latest | None) -> None:
        is_news = held is None or (latest.snapshot, latest.etag) != (held.snapshot, held.etag)
        if is_news or self._ttl:  # else nobody asks when it was looked at
            self.cache.keep_latest(latest)

    @contextmanager
    def _asking(self, table_name: str, what: str) -> Iterator[None]:
        self._require_online(what)
        try:
            yield
        except (AuthError, NotFoundError):
            self.dropped(table_name)
            raise

    def _require_online(self, what: str) -> None:
        if self._is_offline:
            told = f"{what} cannot be had offline: it is not held, and {self.identity()} not asked"
            raise ApiOfflineError(told)


def _is_of(snapshot: Snapshot, table_name: str) -> bool:
    return snapshot.table_name == _plain(table_name)


def _plain(table_name: str) -> str:
    return table_name.removeprefix("default.")

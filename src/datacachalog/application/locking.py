"""How datasets are locked to the bytes that they have, and how exactly these are fetched again."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from datacachalog.application.batch import for_each
from datacachalog.application.deciding import refuse_offline
from datacachalog.application.downloading import Downloading
from datacachalog.application.explanations import Explanation, Reason
from datacachalog.application.results import Fetched, LockChange, Locked, Outcome
from datacachalog.domain.errors import (
    DatacachalogError,
    FetchAllError,
    IntegrityError,
    LockfileNotFoundError,
    LockMismatchError,
    ObjectNotFoundError,
    OfflineError,
    StorageAccessError,
    StorageUnavailableError,
    VersionNotFoundError,
)
from datacachalog.domain.lockfile import Pin, moment, parsed, plan_lock, written, written_source
from datacachalog.domain.words import size

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from datetime import datetime

    from datacachalog.application.deciding import Deciding
    from datacachalog.domain.dataset import Dataset
    from datacachalog.domain.errors import StorageError
    from datacachalog.domain.lockfile import LockPlan, Pins
    from datacachalog.domain.objects import CacheEntry, ObjectInfo
    from datacachalog.domain.uri import Uri
    from datacachalog.ports import CachePort, Clock, LockfilePort, ProgressPort, StoragePort

Found = TypeVar("Found")

_LOCK_WAIT = timedelta(minutes=10)
_IF_GONE = "bring it back, or check the source and the endpoint ('catalog doctor')"


class Lockfile:
    """The pins beside a catalog. Threads may share one.

    `declared` has the sources as the catalog file has them, by the names of their datasets: what
    is relative there is the same text on every machine.
    """

    def __init__(self, port: LockfilePort | None, declared: Mapping[str, Uri]) -> None:
        self._port, self._declared = port, declared
        # What was read last, and what it says: a thousand datasets parse it once.
        self._known: tuple[str, Pins] | None = None

    def _there(self) -> LockfilePort:
        if self._port is None:
            raise LockfileNotFoundError
        return self._port

    def pins(self) -> Pins | None:
        """What is locked; None where there is no lockfile yet.

        Raises:
            LockfileNotFoundError: the catalog was made in Python, and has no place for one.
            LockfileError: it cannot be read, or is none.
        """
        port, known = self._there(), self._known
        if (text := port.read()) is None:
            return None
        if known is None or known[0] != text:
            self._known = known = (text, parsed(text, port.file))
        return known[1]

    def existing(self) -> Pins:
        """What is locked, by a lockfile that has to be there."""
        if (pins := self.pins()) is None:
            raise LockfileNotFoundError(self._there().file)
        return pins

    def source(self, dataset: Dataset) -> str:
        """A dataset's source as the lockfile has it."""
        return written_source(self._declared.get(dataset.name, dataset.source))

    def pin(self, dataset: Dataset) -> Pin:
        """What a dataset is locked to.

        Raises:
            LockMismatchError: nothing, or something at another source.
        """
        name = dataset.name
        if (pin := self.existing().get(name)) is None:
            raise LockMismatchError(name, "is not locked", f"'catalog lock {name}' locks it")
        if pin.source != (source := self.source(dataset)):
            told = f"is locked at {pin.source!r}, and its source is {source!r} now"
            raise LockMismatchError(name, told, f"'catalog lock {name}' locks it anew")
        return pin

    def update(self, change: Callable[[Pins], Pins]) -> None:
        """Writes what `change` makes of the pins that are there now, those of others too."""
        port = self._there()

        def rewritten(text: str | None) -> str | None:
            before = None if text is None else parsed(text, port.file)
            after = change(before or {})
            return None if after == before else written(after)

        port.update(rewritten)


class Locking:
    """What `Catalog.lock` does, and a fetch of what is locked. Threads may share one."""

    def __init__(
        self,
        lockfile: Lockfile,
        deciding: Deciding,
        storage: StoragePort,
        cache: CachePort,
        clock: Clock,
    ) -> None:
        self._lockfile, self._deciding = lockfile, deciding
        self._storage, self._cache = storage, cache
        self._downloading = Downloading(storage, cache, clock)

    def check(
        self, datasets: Mapping[str, Dataset], names: Collection[str] | None
    ) -> tuple[Locked, ...]:
        """What locking would change, as far as it shows without asking any store."""
        before, sources = self._lockfile.existing(), self._sources(datasets)
        plan = plan_lock(before, sources, names, ())
        return tuple(_line(name, plan, before, {}, sources) for name in plan.names)

    def lock(
        self,
        datasets: Mapping[str, Dataset],
        names: Collection[str] | None,
        upgrade: Collection[str],
        bring: Callable[[Collection[str]], Mapping[str, Fetched]],
    ) -> tuple[Locked, ...]:
        """Pins what is to be pinned, all at once; where one fails, nothing is written.

        `bring` fetches the current objects of datasets, or raises.
        """
        pins, sources = self._lockfile.pins() or {}, self._sources(datasets)
        plan = plan_lock(pins, sources, names, upgrade)
        fetched = bring(sorted(plan.take))
        taken, failures = for_each(lambda name: self._found(datasets[name], fetched[name]), fetched)
        if failures:
            raise FetchAllError(failures, {name: fetched[name].path for name in taken})
        self._lockfile.update(lambda now: {**plan.kept(now), **taken})
        return tuple(_line(name, plan, pins, taken, sources) for name in plan.names)

    def _sources(self, datasets: Mapping[str, Dataset]) -> dict[str, str]:
        return {name: self._lockfile.source(dataset) for name, dataset in datasets.items()}

    def _found(self, dataset: Dataset, fetched: Fetched) -> Pin:
        """The pin of the current object, which was just fetched."""
        info = fetched.entry.info
        if fetched.outcome is Outcome.UNCHANGED:
            # The copy may have come as another version of the same bytes, or before there were any.
            now = self._storage.stat(dataset.source)
            info = now if now.revision.same_bytes(info.revision) else info
        return Pin.of(self._lockfile.source(dataset), info, fetched.entry.digest)

    def fetch(
        self,
        dataset: Dataset,
        version: str | None,
        as_of: datetime | None,
        refresh: bool,  # noqa: FBT001 - as `Fetching.fetch` is called
        offline: bool,  # noqa: FBT001 - likewise
        progress: ProgressPort,
    ) -> Fetched:
        """Exactly the locked bytes: the cached ones without asking, or those of the store.

        What is current stays so, unless these bytes come as the current object.

        Raises:
            LockMismatchError: the store has them no more, or has others now.
            ValueError: other bytes are asked for too.
        """
        if refresh or version is not None or as_of is not None:
            raise ValueError("locked goes with none of version, as_of and refresh")
        pin = self._lockfile.pin(dataset)
        uri, identity = dataset.source, self._storage.identity(dataset.source)
        outcome, entry = Outcome.CACHED, self._cached(identity, uri, pin)
        if entry is None:
            refuse_offline(uri, offline=offline)
            with self._cache.alone(identity, uri, _LOCK_WAIT):
                entry = self._cached(identity, uri, pin)
                if entry is None:
                    outcome = Outcome.DOWNLOADED
                    entry = self._one_of(
                        dataset, pin, partial(self._arrived, dataset, pin, progress)
                    )
        if not self._deciding.is_as_declared(entry, dataset):
            raise _undeclared(dataset)
        return Fetched(dataset.name, outcome, entry)

    def explain(self, dataset: Dataset, *, offline: bool) -> Explanation:
        """What `fetch` would do now. An error that it would raise is in the answer."""
        uri = dataset.source
        try:
            pin = self._lockfile.pin(dataset)
            entry = self._cached(self._storage.identity(uri), uri, pin)
            if entry is None:
                refuse_offline(uri, offline=offline)
                remote = self._one_of(dataset, pin, partial(self._described, dataset, pin))
                return _to_come(dataset, pin, remote)
            if not self._deciding.is_as_declared(entry, dataset):
                raise _undeclared(dataset)
        except DatacachalogError as error:
            return Explanation(dataset, _reason_of(error), None, str(error), error=error)
        cause = f"its copy has the locked bytes ({size(pin.size_bytes)})"
        return Explanation(dataset, Reason.LOCKED, Outcome.CACHED, cause, entry)

    def _cached(self, identity: str, uri: Uri, pin: Pin) -> CacheEntry | None:
        entry = self._cache.current(identity, uri)
        if entry is None or entry.digest != pin.digest:
            entry = self._cache.holding(identity, uri, pin.digest)
        return entry

    def _one_of(self, dataset: Dataset, pin: Pin, get: Callable[[str | None], Found]) -> Found:
        """What `get` gives of the locked version, or else of the current object (None).

        That may hold the bytes all the same: of a bucket that was copied, or whose policy lets
        nobody read versions.
        """
        missing: StorageError | None = None
        if pin.version is not None:
            try:
                return get(pin.version)
            except (VersionNotFoundError, ObjectNotFoundError, StorageAccessError) as error:
                missing = error
        try:
            try:
                return get(None)
            except ObjectNotFoundError as error:
                raise LockMismatchError(dataset.name, f"is gone: {error}", _IF_GONE) from error
        except LockMismatchError as other:
            if missing is None:
                raise
            if isinstance(missing, StorageAccessError):
                raise missing from other
            told = f"{other.problem} ({missing})"
            raise LockMismatchError(dataset.name, told, other.hint) from missing

    def _described(self, dataset: Dataset, pin: Pin, version: str | None) -> ObjectInfo:
        """What there is, if it may be the locked bytes.

        Another size spares a download. Another tag tells nothing: equal bytes may have two.
        """
        there = self._storage.stat(dataset.source, version=version)
        if there.size_bytes != pin.size_bytes:
            raise _mismatch(dataset, pin, there, there.digest or pin.digest)
        return there

    def _arrived(
        self, dataset: Dataset, pin: Pin, progress: ProgressPort, version: str | None
    ) -> CacheEntry:
        if version is None:
            self._described(dataset, pin, None)
        with self._downloading.arrived(dataset, progress, version=version) as arrival:
            try:
                # Other bytes than the locked ones are kept, though not handed out: they are the
                # dataset's, and what upgrading the lock would ask for next.
                entry = arrival.publish(current=version is None, checksum=dataset.checksum)
            except IntegrityError as error:
                if dataset.checksum is None:
                    raise
                raise _undeclared(dataset) from error
        if entry.digest != pin.digest:
            raise _mismatch(dataset, pin, arrival.info, entry.digest)
        return entry


def _reason_of(error: DatacachalogError) -> Reason:
    if isinstance(error, OfflineError):
        return Reason.OFFLINE
    return Reason.UNREACHABLE if isinstance(error, StorageUnavailableError) else Reason.REFUSED


def _to_come(dataset: Dataset, pin: Pin, remote: ObjectInfo) -> Explanation:
    is_it = pin.version is not None and remote.version == pin.version
    is_it = is_it or (pin.etag is not None and remote.etag == pin.etag)
    cause = f"the locked bytes ({size(pin.size_bytes)}) are not cached, and the store has "
    cause += "them" if is_it else "as many; it fails if they are others"
    return Explanation(dataset, Reason.LOCKED, Outcome.DOWNLOADED, cause, remote=remote)


def _mismatch(dataset: Dataset, pin: Pin, there: ObjectInfo, digest: str) -> LockMismatchError:
    other = replace(Pin.of(pin.source, there, digest), last_modified=pin.last_modified)
    since = there.last_modified
    when = "" if since is None else f", since {moment(since.replace(microsecond=0))}"
    told = f"is not what is locked: {', '.join(pin.changes(other))}{when}"
    return LockMismatchError(dataset.name, told, _upgrade(dataset))


def _undeclared(dataset: Dataset) -> LockMismatchError:
    told = f"is locked to bytes that are not there, or do not come to its {dataset.checksum}"
    return LockMismatchError(dataset.name, told, _upgrade(dataset))


def _upgrade(dataset: Dataset) -> str:
    return f"'catalog lock --upgrade {dataset.name}' locks what is there now, if that is to be used"


def _line(
    name: str, plan: LockPlan, before: Pins, taken: Pins, sources: Mapping[str, str]
) -> Locked:
    old, new = before.get(name), taken.get(name)
    if name in plan.drop:
        return Locked(name, LockChange.REMOVED, old, None)
    if name not in plan.take or (old is not None and old == new):
        return Locked(name, LockChange.UNCHANGED, old, old)
    if old is None:
        return Locked(name, LockChange.ADDED, None, new)
    then = replace(old, source=sources[name]) if new is None else new
    return Locked(name, LockChange.UPDATED, old, new, old.changes(then))

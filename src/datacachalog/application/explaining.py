"""What a fetch would do, found out without doing it."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

from datacachalog.application.deciding import Question, is_named, undeclared
from datacachalog.application.explanations import Explanation, Reason
from datacachalog.application.results import Outcome
from datacachalog.domain.errors import (
    DatacachalogError,
    OfflineError,
    StorageUnavailableError,
)
from datacachalog.domain.objects import is_immutable_version
from datacachalog.domain.words import age, size

if TYPE_CHECKING:
    from datacachalog.application.deciding import Deciding
    from datacachalog.domain.dataset import Dataset
    from datacachalog.domain.objects import CacheEntry, ObjectInfo, Revision
    from datacachalog.ports import CachePort, Clock, StoragePort


class Explaining:
    """What `Catalog.why` does for each dataset. Threads may share one.

    Asks a store where a fetch would, once, for a description of the object. Changes nothing in the
    cache.
    """

    def __init__(
        self, storage: StoragePort, cache: CachePort, clock: Clock, deciding: Deciding
    ) -> None:
        self._storage, self._cache, self._clock = storage, cache, clock
        self._deciding = deciding

    def explain(self, dataset: Dataset, *, refresh: bool, offline: bool) -> Explanation:
        """What `Fetching.current` would do now. An error that it would raise is in the answer."""
        try:
            identity = self._storage.identity(dataset.source)
            decided = self._deciding.decide(dataset, identity, refresh, offline)
            if not isinstance(decided, Question):
                return self._served(dataset, decided)
            if decided.refusal is not None:
                return self._unasked(dataset, identity, decided, decided.refusal)
            return self._asked(dataset, identity, decided)
        except DatacachalogError as error:
            return Explanation(dataset, Reason.REFUSED, None, str(error), error=error)

    def _served(self, dataset: Dataset, entry: CacheEntry) -> Explanation:
        if dataset.checksum is not None:
            cause = f"it has the declared checksum, {dataset.checksum}"
            return Explanation(dataset, Reason.DECLARED, Outcome.CACHED, cause, entry)
        if is_named(entry, dataset.source):
            cause = "it is the snapshot that its source names, which never changes"
            return Explanation(dataset, Reason.DECLARED, Outcome.CACHED, cause, entry)
        checked = age(entry.checked_at, self._clock())
        cause = f"it was checked {checked}, and `freshness: {dataset.freshness}`"
        return Explanation(dataset, Reason.FRESH, Outcome.CACHED, cause, entry)

    def _asked(self, dataset: Dataset, identity: str, question: Question) -> Explanation:
        known = question.known
        try:
            remote = self._storage.stat(dataset.source)
        except StorageUnavailableError as error:
            self._deciding.note_down(dataset.source, error)
            return self._unasked(dataset, identity, question, error)
        except DatacachalogError as error:
            return Explanation(dataset, Reason.REFUSED, None, str(error), known, error=error)
        if known is None:
            return self._missed(dataset, identity, remote)
        if not _is_still(known.revision, remote.revision):
            return _changed(dataset, known, remote)
        if not self._deciding.is_as_declared(known, dataset):
            refusal = undeclared(dataset)
            told = (Reason.UNDECLARED, None, str(refusal))
            return Explanation(dataset, *told, known, remote, refusal)
        cause = f"the store holds the cached revision ({_described(known.info)})"
        return Explanation(dataset, Reason.UNCHANGED, Outcome.UNCHANGED, cause, known, remote)

    def _missed(self, dataset: Dataset, identity: str, remote: ObjectInfo) -> Explanation:
        reason, cause = Reason.ABSENT, "nothing is cached"
        if self._cache.has_lost(identity, dataset.source):
            reason, cause = Reason.LOST, "the cached copy is damaged or gone"
        cause += f", and the store holds {_described(remote)}{_on_arrival(dataset)}"
        return Explanation(dataset, reason, Outcome.DOWNLOADED, cause, remote=remote)

    def _unasked(
        self, dataset: Dataset, identity: str, question: Question, error: StorageUnavailableError
    ) -> Explanation:
        """Of a store that may not be asked, or does not answer."""
        is_offline = isinstance(error, OfflineError)
        reason = Reason.OFFLINE if is_offline else Reason.UNREACHABLE
        entry = self._deciding.instead(dataset, identity, question)
        if entry is not None:
            checked = age(entry.checked_at, question.begun)
            cause = f"{error}; the cached copy ({_described(entry.info)}), checked {checked}, "
            cause += "will do" if is_offline else "will do (`on_unreachable: stale`)"
            return Explanation(dataset, reason, Outcome.STALE, cause, entry, error=error)
        if question.known is None:
            cause = f"{error}; there is no cached copy that could be served"
        elif dataset.on_unreachable == "fail" and not is_offline:
            cause = f"{error}; the cached copy will not do (`on_unreachable: fail`)"
        else:
            cause = f"{error}; the cached copy will not do"
        return Explanation(dataset, reason, None, cause, question.known, error=error)


def _changed(dataset: Dataset, known: CacheEntry, remote: ObjectInfo) -> Explanation:
    found, cached = _described(remote), _described(known.info)
    if _is_told(remote.revision):
        reason = Reason.CHANGED
        cause = f"the store holds another revision ({found}) than the cached one ({cached})"
    else:
        reason = Reason.UNTOLD
        cause = f"the store does not say whether its object ({found}) is the cached one ({cached})"
    cause += _on_arrival(dataset)
    return Explanation(dataset, reason, Outcome.DOWNLOADED, cause, known, remote)


def _on_arrival(dataset: Dataset) -> str:
    if dataset.checksum is None:
        return ""
    return f"; it would be refused unless it comes to {dataset.checksum}"


def _described(info: ObjectInfo) -> str:
    if info.last_modified is None:
        return size(info.size_bytes)
    changed = info.last_modified.astimezone(UTC)
    return f"{size(info.size_bytes)}, changed {changed:%Y-%m-%d %H:%M} UTC"


def _is_still(known: Revision, found: Revision) -> bool:
    """Whether a store would say that what is known is what it holds.

    Asked with `If-None-Match`, it says so of weak tags too (RFC 9110 §13.1.2).
    """
    return known.same_bytes(found) or (known.etag is not None and known.etag == found.etag)


def _is_told(revision: Revision) -> bool:
    """Whether a store says anything that tells this revision from others."""
    return revision.etag is not None or is_immutable_version(revision.version)

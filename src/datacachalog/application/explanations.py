"""What `Catalog.why` and `Catalog.plan` answer."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from datacachalog.application.results import Outcome
from datacachalog.domain.words import size

if TYPE_CHECKING:
    from datacachalog.domain.dataset import Dataset
    from datacachalog.domain.errors import DatacachalogError
    from datacachalog.domain.objects import CacheEntry, ObjectInfo

_VERDICTS = {
    Outcome.CACHED: "would be served from the cache without asking",
    Outcome.UNCHANGED: "would be served from the cache",
    Outcome.DOWNLOADED: "would be downloaded",
    Outcome.STALE: "would be served from the cache, with a warning",
    None: "would fail",
}


class Reason(Enum):
    """Why a fetch would do what it would do."""

    FRESH = "fresh"
    """The cached copy was checked so lately that the store is not asked."""
    DECLARED = "declared"
    """The cached copy has the declared checksum, or is the snapshot that the source names.

    The store is not asked.
    """
    LOCKED = "locked"
    """The lockfile says which bytes are wanted, and nothing else matters."""
    UNCHANGED = "unchanged"
    """The store holds the cached revision."""
    CHANGED = "changed"
    """The store holds another revision."""
    UNTOLD = "untold"
    """The store does not say which revision it holds."""
    ABSENT = "absent"
    """Nothing is cached."""
    LOST = "lost"
    """The cached copy is damaged or gone."""
    UNDECLARED = "undeclared"
    """The store holds the cached revision, which has not the declared checksum."""
    UNREACHABLE = "unreachable"
    """The store cannot be reached, or could not a moment ago."""
    OFFLINE = "offline"
    """The store may not be asked."""
    REFUSED = "refused"
    """There is another error: no such object, access is denied, …"""


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a fetch of a dataset would do now, and why; `str()` is a sentence.

    `outcome` is that of the fetch, or None where it would raise `error`. With the outcome `STALE`,
    `error` is why the store is not asked. `cause` is the end of the sentence, `entry` the cached
    copy, and `remote` what the store said of its object, where it was asked.
    """

    dataset: Dataset
    reason: Reason
    outcome: Outcome | None
    cause: str
    entry: CacheEntry | None = None
    remote: ObjectInfo | None = None
    error: DatacachalogError | None = None

    @property
    def name(self) -> str:
        """The dataset's name."""
        return self.dataset.name

    @property
    def size_bytes(self) -> int | None:
        """How many bytes the fetch would move; None where it would fail."""
        if self.outcome is Outcome.DOWNLOADED and self.remote is not None:
            return self.remote.size_bytes
        return None if self.outcome is None else 0

    def __str__(self) -> str:
        return f"{self.name} {_VERDICTS[self.outcome]}: {self.cause}"


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a fetch of several datasets would do now; `str()` is a sentence."""

    explanations: tuple[Explanation, ...]

    @property
    def downloads(self) -> tuple[Explanation, ...]:
        """Those that would be downloaded."""
        return tuple(one for one in self.explanations if one.outcome is Outcome.DOWNLOADED)

    @property
    def failures(self) -> tuple[Explanation, ...]:
        """Those whose fetch would fail: how many bytes it would move is not known."""
        return tuple(one for one in self.explanations if one.outcome is None)

    @property
    def size_bytes(self) -> int:
        """How many bytes would move, as far as is known; a source that several share, once."""
        return sum({one.dataset.source: one.size_bytes or 0 for one in self.downloads}.values())

    def __str__(self) -> str:
        total = len(self.explanations)
        told = f"{len(self.downloads)} of {total} {'dataset' if total == 1 else 'datasets'} "
        told += f"would be downloaded: {size(self.size_bytes)}"
        if self.failures:
            told += f"; {len(self.failures)} would fail, and their sizes are not known"
        return told

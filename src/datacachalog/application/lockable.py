"""What a catalog has for its lockfile."""

from __future__ import annotations

from abc import abstractmethod
from functools import partial
from typing import TYPE_CHECKING, Unpack

from datacachalog.application.naming import NamedDatasets

if TYPE_CHECKING:
    from collections.abc import Iterable

    from datacachalog.application.locking import Locking
    from datacachalog.application.options import FetchAllOptions
    from datacachalog.application.results import Fetched, Locked
    from datacachalog.ports import ProgressPort


class LockableDatasets(NamedDatasets):
    """Named datasets that can be locked to the bytes that they have."""

    _locking: Locking

    @abstractmethod
    def obtain_all(
        self, names: Iterable[str] | None = None, **options: Unpack[FetchAllOptions]
    ) -> dict[str, Fetched]: ...

    def lock(
        self,
        names: Iterable[str] | None = None,
        *,
        upgrade: bool | Iterable[str] = (),
        check: bool = False,
        progress: ProgressPort | None = None,
    ) -> tuple[Locked, ...]:
        """Writes down, in `catalog.lock`, the exact bytes that datasets have; all without `names`.

        What is locked stays so as long as its source does; `upgrade` names datasets that move to
        their current objects, True moves all that are locked here. What is locked anew is fetched.
        Without `names`, what the catalog has no more is dropped. The lockfile is replaced whole.

        `check` changes nothing and asks no store: it tells what would change, `UNCHANGED` of
        every dataset where the lockfile fits the catalog.

        Raises:
            FetchAllError: some could not be fetched. The lockfile is as it was.
            LockfileError: the lockfile cannot be read or written.
            LockfileNotFoundError: with `check`, there is none; or the catalog was made in Python.
            ValueError: `check` and `upgrade` are both given.
        """
        if check and upgrade:
            raise ValueError("check changes nothing: give it without upgrade")
        wanted = None if names is None else self._known(names)
        if check:
            return self._locking.check(self._datasets, wanted)
        moved = self._known(wanted) if upgrade is True else self._known(upgrade or ())
        bring = partial(self.obtain_all, refresh=True, progress=progress)
        return self._locking.lock(self._datasets, wanted, moved, bring)

    def _known(self, names: Iterable[str] | None) -> tuple[str, ...]:
        """The names, once it is sure that there are such datasets; all where they are None."""
        return tuple(self[name].name for name in self._all_or(names))

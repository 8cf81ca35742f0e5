"""What all errors have in common, and several of them at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class DatacachalogError(Exception):
    """Anything that datacachalog refuses or could not do."""

    code: str = "error"
    _hint: ClassVar[str | None] = None

    def __init__(self, *args: object) -> None:
        """Has tracebacks end in the hint; attributes that it speaks of are to be set before."""
        super().__init__(*args)
        if self.hint:
            self.add_note(f"hint: {self.hint}")

    @property
    def hint(self) -> str | None:
        """What to do next, as one sentence without a full stop; None where nothing helps."""
        return self._hint


class FetchAllError(DatacachalogError):
    """Some datasets could not be fetched; the others were.

    `failures` maps each failed name to its error, `paths` each fetched name to its path.
    """

    code = "fetch-all"

    def __init__(
        self, failures: Mapping[str, DatacachalogError], paths: Mapping[str, Path]
    ) -> None:
        self.failures, self.paths = failures, paths
        super().__init__(failures, paths)
        if self.hint is None:
            for hint, names in self.hints.items():
                self.add_note(f"hint for {', '.join(names)}: {hint}")

    def __str__(self) -> str:
        total = len(self.failures) + len(self.paths)
        lines = [f"{len(self.failures)} of {total} datasets could not be fetched"]
        lines += [f"  {name}: {error}" for name, error in self.failures.items()]
        return "\n".join(lines)

    @property
    def hint(self) -> str | None:
        """The hint that all failures have in common."""
        hints = {error.hint for error in self.failures.values()}
        return hints.pop() if len(hints) == 1 else None

    @property
    def hints(self) -> dict[str, list[str]]:
        """Every hint there is, and the names of the datasets that it is for."""
        found: dict[str, list[str]] = {}
        for name, error in self.failures.items():
            if error.hint:
                found.setdefault(error.hint, []).append(name)
        return found

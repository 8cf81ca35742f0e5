"""What a command works with: the catalog that the options lead to, and where its words go."""

from __future__ import annotations

import os
import sys
import warnings
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

import click

from datacachalog import CacheSizeWarning, Catalog, StaleWarning, ViewWarning, config
from datacachalog.adapters.progress import RichProgress
from datacachalog.cli import messages
from datacachalog.cli.options import GlobalOptions
from datacachalog.cli.output import Output
from datacachalog.domain.errors import CatalogNotFoundError, DatacachalogError
from datacachalog.ports import SilentProgress

if TYPE_CHECKING:
    from collections.abc import Iterable
    from contextlib import AbstractContextManager
    from typing import Self, TextIO

    from datacachalog import Fetched, PushResult
    from datacachalog.adapters.cache.directory import DirectoryCache
    from datacachalog.ports import ProgressPort


_PYTHONS_WAY = warnings.showwarning


@dataclass(frozen=True, slots=True)
class Session:
    """One run of a command. `now` is when it began."""

    options: GlobalOptions
    as_json: bool
    now: datetime
    out: Output

    @classmethod
    def of(cls, ctx: click.Context, *, as_json: bool) -> Self:
        """The session of a running command; `as_json` is whether it was told so itself."""
        options, now = ctx.find_object(GlobalOptions) or GlobalOptions(), datetime.now(UTC)
        as_json = as_json or options.as_json
        return cls(options, as_json, now, Output.standard(now, as_json=as_json))

    def open(self, *, offline: bool = False) -> Catalog:
        """The catalog that the options, the environment or the current folder lead to."""
        catalog = Catalog.open(self.options.catalog, cache_dir=self.options.cache_dir)
        catalog.offline |= offline
        warnings.simplefilter("ignore", StaleWarning)  # `warn_of_stale` says it
        warnings.simplefilter("ignore", ViewWarning)  # `warn_of_links` does
        warnings.showwarning = _show_warning
        return catalog

    def warn_of_stale(self, fetched: Iterable[Fetched]) -> None:
        """Tells people which copies may be out of date, and why; programs see it in the outcome."""
        for one in fetched:
            if one.error is not None and not self.as_json:
                when = f"{one.entry.checked_at:%Y-%m-%d %H:%M} UTC"
                messages.warn(f"{one.name} may be out of date, as of {when}: {one.error}")

    def warn_of_links(self, done: Iterable[Fetched | PushResult]) -> None:
        """Tells people which links of the view could not be made; programs see it in the record."""
        for one in done:
            if one.link_error is not None and not self.as_json:
                messages.warn(f"{one.name}: {one.link_error}")

    def say_if_empty(self, catalog: Catalog) -> None:
        """Tells people why they see nothing."""
        if not catalog.datasets:
            self.say(f"{catalog.file} has no datasets; add some below 'datasets:'")

    def near(self) -> Catalog:
        """That catalog; where none was named and none is near, an empty one on the user's cache."""
        try:
            return self.open()
        except CatalogNotFoundError:
            if self.options.catalog is not None or os.environ.get("DATACACHALOG_CATALOG"):
                raise
            return Catalog([], cache_dir=self.options.cache_dir)

    def cache(self) -> DirectoryCache:
        """The cache of the catalog that is near."""
        # Without being given another, a Catalog keeps its copies in a folder.
        return cast("DirectoryCache", self.near().cache)

    def progress(self) -> AbstractContextManager[ProgressPort]:
        """What shows transfers: nothing unless standard error is a terminal, and people read."""
        is_watched = config.progress_wanted(os.environ, stream_isatty=sys.stderr.isatty())
        is_silent = self.options.quiet or self.as_json
        return RichProgress() if is_watched and not is_silent else _silent()

    def say(self, message: str) -> None:
        """Tells people something that is no data, unless they want quiet, or are a program."""
        if not self.options.quiet and not self.as_json:
            messages.say(message)


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Says our own warnings in our own words, and all others as Python does."""
    if issubclass(category, CacheSizeWarning):
        messages.warn(str(message))
    else:
        _PYTHONS_WAY(message, category, filename, lineno, file, line)


def _silent() -> AbstractContextManager[ProgressPort]:
    return nullcontext(SilentProgress())


def names_offered(ctx: click.Context, _argument: click.Parameter, incomplete: str) -> list[str]:
    """The names of datasets that begin so, for the shell to offer."""
    try:
        catalog = Catalog.open(ctx.find_root().params.get("catalog"))
    except DatacachalogError:
        return []
    return [name for name in catalog if name.startswith(incomplete)]


name_argument = click.argument("name", metavar="NAME", shell_complete=names_offered)
names_argument = click.argument(
    "names", metavar="[NAME]...", nargs=-1, shell_complete=names_offered
)
required_names_argument = click.argument(
    "names", metavar="NAME...", nargs=-1, required=True, shell_complete=names_offered
)

"""`catalog fetch`: the local paths of datasets."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from datacachalog.cli.exits import UsageError
from datacachalog.cli.options import (
    json_option,
    locked_option,
    offline_option,
    refresh_option,
    refuse_both,
)
from datacachalog.cli.records import fetched_record
from datacachalog.cli.session import Session, names_argument
from datacachalog.domain.errors import FetchAllError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from datacachalog import Fetched
    from datacachalog.domain.errors import DatacachalogError


def instant(_ctx: click.Context, _option: click.Parameter, text: str | None) -> datetime | None:
    """The time that `text` names in ISO 8601; UTC where it names no zone."""
    if text is None:
        return None
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        problem = f"{text!r} is no time such as 2026-03-01 or 2026-03-01T12:00+02:00"
        raise click.BadParameter(problem) from None
    return when.replace(tzinfo=UTC) if when.tzinfo is None else when


@click.command("fetch")
@names_argument
@click.option("--all", "everything", is_flag=True, help="All datasets of the catalog.")
@refresh_option
@offline_option
@locked_option
@click.option("--version", metavar="ID", help="One version, by the store's own id.")
@click.option(
    "--as-of",
    callback=instant,
    metavar="TIME",
    help="What was there at that time: ISO 8601, UTC unless it names a zone; a date is its "
    "first moment.",
)
@click.option(
    "--max-workers",
    type=click.IntRange(min=1),
    default=16,
    show_default=True,
    metavar="N",
    help="How many at a time.",
)
@json_option
@click.pass_context
def command(  # noqa: PLR0913 - an option each
    ctx: click.Context,
    *,
    names: tuple[str, ...],
    everything: bool,
    refresh: bool,
    offline: bool,
    locked: bool,
    version: str | None,
    as_of: datetime | None,
    max_workers: int,
    as_json: bool,
) -> None:
    """Print the local path of each dataset.

    Each is downloaded only where its copy is not current. Paths come one a line, in the order of
    the names; those of datasets that failed are left out.
    """
    _check(names, everything=everything, version=version, as_of=as_of)
    _check_asking(refresh=refresh, offline=offline, locked=locked, past=[version, as_of])
    session = Session.of(ctx, as_json=as_json)
    catalog = session.open(offline=offline)
    wanted = names or tuple(catalog)
    session.say_if_empty(catalog)
    with session.progress() as progress:
        fetched, failures = catalog.try_all(
            wanted,
            version=version,
            as_of=as_of,
            refresh=refresh,
            locked=locked,
            max_workers=max_workers,
            progress=progress,
        )
    _print(session, wanted, fetched, failures)


def _print(
    session: Session,
    wanted: Sequence[str],
    fetched: Mapping[str, Fetched],
    failures: Mapping[str, DatacachalogError],
) -> None:
    """Prints what is there, then raises for what is not."""
    there = [fetched[name] for name in wanted if name in fetched]
    session.warn_of_stale(there)
    session.warn_of_links(there)
    session.out.lines([str(one.path) for one in there], [fetched_record(one) for one in there])
    if failures:
        everyone = FetchAllError(failures, {name: one.path for name, one in fetched.items()})
        raise everyone if len(wanted) > 1 else failures[wanted[0]]


def _check(
    names: tuple[str, ...], *, everything: bool, version: str | None, as_of: datetime | None
) -> None:
    if not names and not everything:
        raise UsageError("no dataset was named", "name some, or fetch them all with --all")
    if names and everything:
        raise UsageError("--all and names exclude each other", "give names, or --all")
    if version is not None and as_of is not None:
        hint = "give one of them; 'catalog versions NAME' lists the versions with their times"
        raise UsageError("--version and --as-of exclude each other", hint)
    if version is not None and len(names) != 1:
        raise UsageError("--version is of one dataset", "name just that one")


def _check_asking(
    *, refresh: bool, offline: bool, locked: bool, past: list[str | datetime | None]
) -> None:
    refuse_both(refresh=refresh, offline=offline)
    if locked and (refresh or past != [None, None]):
        hint = "leave them out: the lockfile says which bytes it is to be"
        raise UsageError("--locked goes with none of --version, --as-of and --refresh", hint)

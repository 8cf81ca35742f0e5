"""`catalog lock`: the exact bytes of each dataset, written down for other machines and times."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from datacachalog import FetchAllError, LockChange
from datacachalog.cli import messages
from datacachalog.cli.exits import ExitCode, UsageError
from datacachalog.cli.options import json_option
from datacachalog.cli.records import locked_record
from datacachalog.cli.session import Session, names_argument, names_offered
from datacachalog.domain.words import size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datacachalog import Catalog, Locked, ProgressPort


@click.command("lock")
@names_argument
@click.option("--check", is_flag=True, help="Change nothing; exit with 8 unless the lockfile fits.")
@click.option(
    "--upgrade",
    metavar="NAME",
    multiple=True,
    shell_complete=names_offered,
    help="Move this one to its current object; may be given several times.",
)
@click.option("--upgrade-all", is_flag=True, help="Move all of them to their current objects.")
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    *,
    names: tuple[str, ...],
    check: bool,
    upgrade: tuple[str, ...],
    upgrade_all: bool,
    as_json: bool,
) -> None:
    """Write the exact bytes of each dataset into catalog.lock.

    All datasets, unless some are named. What is locked already stays as it is.
    """
    _refuse_contradictions(names, check=check, upgrade=upgrade, upgrade_all=upgrade_all)
    session = Session.of(ctx, as_json=as_json)
    catalog = session.open()
    if check:
        ctx.exit(_checked(session, catalog.lock(names or None, check=True)))
    with session.progress() as progress:
        locked = _lock(catalog, names, upgrade=upgrade_all or upgrade, progress=progress)
    changed = [one for one in locked if one.change is not LockChange.UNCHANGED]
    for one in changed:
        session.say(_told(one))
    if locked and not changed:
        session.say("nothing has changed")
    session.say_if_empty(catalog)
    session.out.lines([], [locked_record(one) for one in locked])


def _refuse_contradictions(
    names: tuple[str, ...], *, check: bool, upgrade: tuple[str, ...], upgrade_all: bool
) -> None:
    if check and (upgrade or upgrade_all):
        raise UsageError("--check changes nothing", "give it without --upgrade and --upgrade-all")
    if upgrade_all and (names or upgrade):
        hint = "name what is to move with --upgrade, each"
        raise UsageError("--upgrade-all is of all datasets", hint)


def _lock(
    catalog: Catalog,
    names: tuple[str, ...],
    *,
    upgrade: bool | tuple[str, ...],
    progress: ProgressPort,
) -> tuple[Locked, ...]:
    try:
        return catalog.lock(names or None, upgrade=upgrade, progress=progress)
    except FetchAllError as error:
        if len(error.failures) + len(error.paths) > 1:
            raise
        (failure,) = error.failures.values()
        raise failure from None


def _checked(session: Session, found: Sequence[Locked]) -> ExitCode:
    session.out.lines([], [locked_record(one) for one in found])
    odd = [one for one in found if one.change is not LockChange.UNCHANGED]
    if not odd:
        session.say("the lockfile fits the catalog")
        return ExitCode.DONE
    if not session.as_json:
        for one in odd:
            messages.warn(_told_of_misfit(one))
        messages.warn("the lockfile does not fit the catalog; 'catalog lock' makes it")
    return ExitCode.STALE


def _told(one: Locked) -> str:
    match one.change:
        case LockChange.ADDED if one.after is not None:
            pin = one.after
            return f"Added {one.name}: {size(pin.size_bytes)}, blake3 {pin.digest[:12]}"
        case LockChange.REMOVED:
            return f"Removed {one.name}"
        case _:
            return f"Updated {one.name}: {', '.join(one.differences)}"


def _told_of_misfit(one: Locked) -> str:
    match one.change:
        case LockChange.ADDED:
            return f"{one.name} is not locked"
        case LockChange.REMOVED:
            return f"{one.name} is locked, and the catalog has no such dataset"
        case _:
            return f"{one.name} is locked at another source: {', '.join(one.differences)}"

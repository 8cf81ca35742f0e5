"""`catalog cache`: where copies are kept, how much they take, and their removal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from datacachalog.cli.exits import UsageError
from datacachalog.cli.interrupts import interruptibly
from datacachalog.cli.options import json_option
from datacachalog.cli.output import Size
from datacachalog.cli.session import Session
from datacachalog.domain.words import size

if TYPE_CHECKING:
    from datacachalog.cli.output import Cell


@click.group("cache", no_args_is_help=False)
def command() -> None:
    """Show or empty the cache."""


@command.command("dir")
@json_option
@click.pass_context
def folder(ctx: click.Context, *, as_json: bool) -> None:
    """Print the folder that copies are kept in."""
    session = Session.of(ctx, as_json=as_json)
    path = str(session.cache().root)
    session.out.lines([path], {"dir": path})


@command.command("stats")
@json_option
@click.pass_context
def stats(ctx: click.Context, *, as_json: bool) -> None:
    """Show how many copies there are, and how much they take."""
    session = Session.of(ctx, as_json=as_json)
    cache = session.cache()
    entries = interruptibly(lambda: list(cache.entries()))
    counts = {"sources": len({one.identity for one in entries}), "copies": len(entries)}
    counts["unfinished"], waiting = interruptibly(cache.unfinished)
    copied = sum(one.info.size_bytes for one in entries)
    sizes = {"size": copied, "unfinished_size": waiting, "free": cache.space().free_bytes}
    where = {"dir": str(cache.root)}
    shown: dict[str, Cell] = {
        **where,
        **{name: str(number) for name, number in counts.items()},
        **{name: Size(size_bytes) for name, size_bytes in sizes.items()},
    }
    in_bytes = {f"{name}_bytes": size_bytes for name, size_bytes in sizes.items()}
    session.out.facts(shown.items(), {**where, **counts, **in_bytes})


@command.command("clear")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@json_option
@click.pass_context
def clear(ctx: click.Context, *, yes: bool, as_json: bool) -> None:
    """Remove every copy.

    Also those of other catalogs that keep their copies in the same folder.
    """
    session = Session.of(ctx, as_json=as_json)
    cache = session.cache()
    if not yes and not _agrees(f"remove every copy in {str(cache.root)!r}?"):
        ctx.exit()
    freed = interruptibly(cache.clear)
    session.out.lines([], {"dir": str(cache.root), "freed_bytes": freed})
    session.say(f"freed {size(freed)}")


def _agrees(question: str) -> bool:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError("there is nobody to ask whether to empty the cache", "say so with --yes")
    return click.confirm(question, err=True)

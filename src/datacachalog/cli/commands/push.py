"""`catalog push`: a local file becomes the dataset's object."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click

from datacachalog.cli.interrupts import interruptibly
from datacachalog.cli.options import json_option
from datacachalog.cli.records import pushed_record
from datacachalog.cli.session import Session, name_argument
from datacachalog.domain.errors import LocalFileError
from datacachalog.domain.words import size

if TYPE_CHECKING:
    from typing import Literal


@click.command("push")
@name_argument
@click.argument("file", metavar="FILE", type=click.Path(readable=False))
@click.option(
    "--expect",
    type=click.Choice(["cached", "absent", "any"]),
    default="cached",
    show_default=True,
    help="What may be replaced: the revision that was last fetched here, nothing, or anything.",
)
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    *,
    name: str,
    file: str,
    expect: Literal["cached", "absent", "any"],
    as_json: bool,
) -> None:
    """Replace a dataset's object by a local file.

    Never over somebody else's change. Prints the path of the copy that is kept in the cache; the
    file itself stays as it is.
    """
    if not file:  # as of an unset variable; to pathlib, it is the current folder
        raise LocalFileError(file, "it is no path")
    session = Session.of(ctx, as_json=as_json)
    catalog = session.open()
    with session.progress() as progress:
        pushed = interruptibly(partial(catalog.push, name, file, expect=expect, progress=progress))
    session.warn_of_links([pushed])
    session.say(f"pushed {size(pushed.info.size_bytes)} to {pushed.info.uri}")
    session.out.lines([str(pushed.path)], pushed_record(pushed))

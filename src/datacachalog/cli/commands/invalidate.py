"""`catalog invalidate`: the next fetch downloads anew."""

from __future__ import annotations

import click

from datacachalog.cli.options import json_option
from datacachalog.cli.session import Session, required_names_argument


@click.command("invalidate")
@required_names_argument
@json_option
@click.pass_context
def command(ctx: click.Context, *, names: tuple[str, ...], as_json: bool) -> None:
    """Have the next fetch download anew.

    Paths that were handed out stay readable.
    """
    session = Session.of(ctx, as_json=as_json)
    catalog = session.open()
    known = [catalog[name].name for name in names]  # all of them, before the first is touched
    had_one = {name: catalog.invalidate(name) for name in known}
    session.out.lines([], [{"name": name, "invalidated": had} for name, had in had_one.items()])
    for name, had in had_one.items():
        session.say(f"{name}: {'invalidated' if had else 'nothing was cached'}")

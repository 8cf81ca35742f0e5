"""`catalog init`: a first catalog, with a sample that can be fetched at once."""

from __future__ import annotations

import shlex
from importlib.resources import files
from pathlib import Path
from typing import Final

import click

from datacachalog.cli.exits import UsageError
from datacachalog.cli.options import json_option
from datacachalog.cli.session import Session

_SAMPLE: Final = {"catalog.yaml": "catalog.yaml", "data/customers.csv": "customers.csv"}
_BARE: Final = {"catalog.yaml": "bare.yaml"}


@click.command("init")
@click.argument("folder", metavar="[DIR]", type=click.Path(path_type=Path), default=Path())
@click.option("--bare", is_flag=True, help="Only catalog.yaml, without the sample.")
@json_option
@click.pass_context
def command(ctx: click.Context, *, folder: Path, bare: bool, as_json: bool) -> None:
    """Start a catalog, with a sample to try it with.

    Writes a commented catalog.yaml and data/customers.csv into DIR, the current folder unless
    given. Prints what it wrote. Nothing that is there is overwritten.
    """
    session = Session.of(ctx, as_json=as_json)
    templates = {folder / name: template for name, template in (_BARE if bare else _SAMPLE).items()}
    for path in templates:
        if path.exists() or path.is_symlink():
            raise UsageError(f"{str(path)!r} is there already", "choose another folder")
        _refuse_files_for_folders(path)
    for path, template in reversed(templates.items()):  # what the catalog names is there first
        _write(path, (files("datacachalog.cli") / "templates" / template).read_bytes())
    written = [str(path) for path in templates]
    session.out.lines(written, written)
    if not bare:
        is_here = folder.resolve() == Path.cwd()
        change = "" if is_here else f"cd {shlex.quote(str(folder))} && "
        session.say(f"next: {change}catalog fetch customers")


def _refuse_files_for_folders(path: Path) -> None:
    for folder in path.parents:
        if folder.exists() and not folder.is_dir():
            raise UsageError(f"{str(folder)!r} is no folder", "choose another one")


def _write(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:  # x: never over what somebody else wrote meanwhile
            file.write(content)
    except OSError as error:
        raise UsageError(f"{str(path)!r} cannot be written: {error.strerror}") from error

"""`datlake upload` and `download`: objects, through the registry."""

from __future__ import annotations

from pathlib import Path

import click

from datacachalog.cli.datlake.client.asking import Asking
from datacachalog.cli.exits import UsageError
from datacachalog.cli.options import json_option
from datacachalog.domain.words import size

bucket_option = click.option(
    "--bucket", default="objects", help="The bucket; `objects`, the registry's own, unless given."
)


@click.command("upload")
@click.argument("file", metavar="FILE", type=click.Path(readable=False, path_type=Path))
@click.argument("name", metavar="[NAME]", required=False)
@bucket_option
@click.option("--new", is_flag=True, help="Only where there is no such object yet.")
@json_option
def upload(file: Path, name: str | None, bucket: str, *, new: bool, as_json: bool) -> None:
    """Put a local file where the registry keeps objects.

    As NAME, which is its own name unless given. Prints the URI, which may be registered. It is
    there whole or not at all.
    """
    asking, name = Asking.of(as_json=as_json), name or file.name
    client = asking.client()
    with asking.progress() as progress, progress.transfer(name) as transfer:
        uri = client.upload_object(bucket, name, file, replace=not new, progress=transfer)
    asking.out.lines([uri], {"uri": uri, "bucket": bucket, "name": name})


@click.command("download")
@click.argument("name", metavar="NAME")
@click.argument("file", metavar="[FILE]", required=False, type=click.Path(path_type=Path))
@bucket_option
@json_option
def download(name: str, file: Path | None, bucket: str, *, as_json: bool) -> None:
    """Write an object that the registry keeps to FILE.

    That is the last part of its NAME unless given. Prints the path. It is there whole or not at
    all.
    """
    asking, file = Asking.of(as_json=as_json), file or Path(Path(name).name)
    client = asking.client()
    try:
        with asking.progress() as progress, progress.transfer(name) as transfer:
            path = client.download_object(bucket, name, file, progress=transfer)
        size_bytes = path.stat().st_size
    except OSError as error:
        told = f"{str(file)!r} cannot be written: {error.strerror}"
        raise UsageError(told, "name a file in a folder that is there") from error
    asking.out.lines([str(path)], {"path": str(path), "size_bytes": size_bytes})
    asking.say(f"downloaded {size(size_bytes)}")

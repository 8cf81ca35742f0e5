"""`datlake location`: where the objects of tables may be."""

from __future__ import annotations

from typing import Any

import click

from datacachalog.cli.datlake.server import administration, settings_of, show
from datacachalog.cli.options import json_option


@click.group("location")
def group() -> None:
    """Where the objects of tables may be."""


@group.command("add")
@click.argument("uri")
@click.option("--endpoint-url", help="The URL of the S3 server; AWS unless given.")
@click.option("--region", help="Its region.")
@click.pass_obj
def add(given: dict[str, Any], uri: str, endpoint_url: str | None, region: str | None) -> None:
    """Let tables have objects below URI: s3://bucket/prefix/ or file:///folder/."""
    options = {"endpoint_url": endpoint_url, "region": region}
    told = {name: value for name, value in options.items() if value is not None}
    administration().add_location(settings_of(given), uri, told)


@group.command("list")
@json_option
@click.pass_obj
def list_locations(given: dict[str, Any], *, as_json: bool) -> None:
    """List the locations."""
    show(
        ("LOCATION", "URI", "CREATED", "OPTIONS"),
        administration().list_locations(settings_of(given)),
        lambda one: (
            one.id,
            one.uri,
            one.created_at,
            " ".join(f"{name}={value}" for name, value in one.options.items()),
        ),
        as_json=as_json,
    )


@group.command("remove")
@click.argument("location")
@click.pass_obj
def remove(given: dict[str, Any], location: str) -> None:
    """Have nothing be read from LOCATION, an id or a URI, any more; its snapshots stay known."""
    administration().remove_location(settings_of(given), location)

"""`datlake whoami`: as whom the registry knows the caller."""

from __future__ import annotations

import click

from datacachalog.cli.datlake.client.asking import Asking, record_of
from datacachalog.cli.options import json_option


@click.command("whoami")
@json_option
def command(*, as_json: bool) -> None:
    """Show who you are to the registry.

    And what you may do everywhere.
    """
    asking = Asking.of(as_json=as_json)
    found = asking.client().whoami()
    only = None if found.key_privileges is None else ", ".join(found.key_privileges)
    asking.out.facts(
        {
            "principal": found.principal,
            "key_id": found.key_id,
            "key_privileges": only,
            "key_expires_at": found.key_expires_at,
            "roles": ", ".join(found.roles),
            "privileges": ", ".join(found.privileges),
        }.items(),
        record_of(found),
    )

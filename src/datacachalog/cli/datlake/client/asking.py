"""What a command works with that asks a registry: its client, and where its words go."""

from __future__ import annotations

import os
import re
import sys
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from datacachalog import config
from datacachalog.adapters.progress import RichProgress
from datacachalog.cli import messages
from datacachalog.cli.datlake_app import name_registry
from datacachalog.cli.output import Output
from datacachalog.domain.errors import DatacachalogError
from datacachalog.domain.words import moment
from datacachalog.ports import SilentProgress
from datacachalog.sdk.client import DatlakeClient

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from typing import Self

    from datacachalog.cli.output import JsonValue
    from datacachalog.ports import ProgressPort

_NAME = re.compile(r"[A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Asking:
    """One run of a command. `called` is the name that `datlake` was called by."""

    called: str
    as_json: bool
    out: Output

    @classmethod
    def of(cls, *, as_json: bool) -> Self:
        """That of the command that runs."""
        out = Output.standard(datetime.now(UTC), as_json=as_json)
        return cls(str(click.get_current_context().find_root().info_name), as_json, out)

    def client(self) -> DatlakeClient:
        """The registry that the options, the environment or the file lead to."""
        return DatlakeClient()

    def progress(self) -> AbstractContextManager[ProgressPort]:
        """What shows transfers: nothing unless standard error is a terminal, and people read."""
        is_watched = config.progress_wanted(os.environ, stream_isatty=sys.stderr.isatty())
        return RichProgress() if is_watched and not self.as_json else nullcontext(SilentProgress())

    def say(self, message: str) -> None:
        """Tells people something that is no data."""
        if not self.as_json:
            messages.say(message)


def record_of(one: Any) -> dict[str, JsonValue]:
    """A record of the client as JSON; its times in ISO 8601, UTC."""
    return {name: _json(value) for name, value in asdict(one).items()}


def _json(value: Any) -> JsonValue:
    if isinstance(value, datetime):
        return moment(value)
    if isinstance(value, tuple):
        return [_json(each) for each in value]
    known: JsonValue = value
    return known


def tables_offered(ctx: click.Context, _argument: click.Parameter, incomplete: str) -> list[str]:
    """The names of tables that begin so, for the shell to offer.

    Only what tables are called: the shell puts it into a command line as it is.
    """
    said = ctx.find_root().params
    try:
        name_registry(said.get("url"), said.get("config"))
        client = DatlakeClient(default_timeout_ms=2_000, retry="max=0")
        found = client.get_tables(containing=incomplete or None)
    except DatacachalogError:
        return []
    names = (one.name for one in found)
    return [name for name in names if name.startswith(incomplete) and _NAME.fullmatch(name)]


table_argument = click.argument("table", metavar="TABLE", shell_complete=tables_offered)

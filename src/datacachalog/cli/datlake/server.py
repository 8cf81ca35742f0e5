"""How the commands reach the server's code and settings, and how they tell what they found."""

from __future__ import annotations

import importlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from datacachalog.cli.exits import UsageError
from datacachalog.cli.output import Output

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from datacachalog.cli.output import Cell
    from datacachalog.server.settings import ServerSettings

PRIVILEGES = ("SELECT", "INSERT", "UPDATE", "MANAGE")


def settings_of(given: dict[str, Any], **more: Any) -> ServerSettings:
    """The settings of the environment, less what was given as options."""
    wanted = given | {name: value for name, value in more.items() if value is not None}
    found: ServerSettings = server("settings").settings_from(wanted)
    return found


def administration() -> Any:
    """What the commands do."""
    return server("administration")


def server(module: str) -> Any:
    """A module of the server, whose libraries are an extra.

    Raises:
        UsageError: they are not installed.
    """
    try:
        return importlib.import_module(f"datacachalog.server.{module}")
    except ModuleNotFoundError as error:
        told = f"the registry needs {error.name}, which is not installed"
        raise UsageError(told, "pip install 'datacachalog[server]'") from error


def show(
    header: Sequence[str],
    found: Iterable[Any],
    row: Callable[[Any], Sequence[Cell]],
    *,
    as_json: bool,
) -> None:
    """Writes what was found as a table, or as the API has it."""
    found = list(found)
    records = [one.model_dump(mode="json") for one in found]
    out = Output.standard(datetime.now(UTC), as_json=as_json)
    out.table(header, map(row, found), records)

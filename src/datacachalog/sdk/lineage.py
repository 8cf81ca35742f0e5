"""What one run read and wrote, within what a registry takes of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlsplit

if TYPE_CHECKING:
    from datacachalog.sdk.runs import Data

_MOST: Final = 200  # of each, for one run
_MOST_CHARACTERS: Final = 1024
_KNOWN: Final = re.compile(
    r"[a-z][a-z0-9+.-]{0,30}://[^\s?#@/\\\x00-\x1f\x7f]*/[^\s?#\\\x00-\x1f\x7f]+"
)
_ODD: Final = re.compile(r"[\s?#\\\x00-\x1f\x7f]")


class RunLineage:
    """Inputs and outputs of a run, each once, in the order in which they came.

    A `datacachalog.domain.lineage.Recorder`. Threads may share one: each thing is added at once.
    """

    def __init__(self) -> None:
        self._inputs: dict[tuple[str, ...], None] = {}
        self._outputs: dict[tuple[str, ...], None] = {}
        self._not_told: dict[str, None] = {}

    def read(self, table_name: str, snapshot_id: str) -> None:
        self._inputs[table_name, snapshot_id] = None

    def wrote(self, table_name: str, snapshot_id: str) -> None:
        self._outputs[table_name, snapshot_id] = None

    def read_object(self, uri: str) -> None:
        self._note_object(self._inputs, uri)

    def wrote_object(self, uri: str) -> None:
        self._note_object(self._outputs, uri)

    def _note_object(self, noted: dict[tuple[str, ...], None], uri: str) -> None:
        if (told := as_told(uri)) is not None:
            noted[(told,)] = None
        else:
            self._not_told[uri.partition("?")[0][-80:]] = None

    @property
    def inputs(self) -> list[Data]:
        """What it read, as the registry is told: the first 200."""
        return [_data(one) for one in list(self._inputs)[:_MOST]]

    @property
    def outputs(self) -> list[Data]:
        """What it wrote, likewise."""
        return [_data(one) for one in list(self._outputs)[:_MOST]]

    @property
    def left_out(self) -> int:
        """How many things the registry cannot be told of: they are too many, or no addresses."""
        many = sum(max(0, len(each) - _MOST) for each in (self._inputs, self._outputs))
        return many + len(self._not_told)


def as_told(uri: str) -> str | None:
    """An object's URI as the registry keeps it, without query or credentials; None for no URI.

    >>> as_told("https://me:secret@example.com/raw/users.csv?X-Amz-Signature=1")
    'https://example.com/raw/users.csv'
    >>> as_told("s3://lake/raw/all users.csv")
    's3://lake/raw/all%20users.csv'
    """
    try:
        parts = urlsplit(uri)
    except ValueError:
        return None
    if parts.scheme in {"http", "https"}:
        uri = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    told = _ODD.sub(lambda odd: quote(odd[0], safe=""), uri)
    return told if len(told) <= _MOST_CHARACTERS and _KNOWN.fullmatch(told) else None


def _data(noted: tuple[str, ...]) -> Data:
    if len(noted) == 1:
        return {"uri": noted[0]}
    return {"table_name": noted[0], "snapshot_id": noted[1]}

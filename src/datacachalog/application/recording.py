"""How a catalog tells the run around it what was read and written."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote

from datacachalog.domain.lineage import current_recorder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from datacachalog.application.results import Fetched, PushResult
    from datacachalog.domain.dataset import Dataset
    from datacachalog.domain.objects import CacheEntry
    from datacachalog.domain.uri import Uri

# An S3 key may hold these, and no URI does.
_NOT_IN_A_URI = re.compile(r"[\s?#\\]")


def record_reads(datasets: Mapping[str, Dataset], fetched: Iterable[Fetched]) -> None:
    """Has the surrounding run, if there is one, know its inputs.

    Called by the thread that asked for them: those of a pool know of no run.
    """
    if (recorder := current_recorder()) is not None:
        for one in fetched:
            _tell(datasets[one.name].source, one.entry, recorder.read, recorder.read_object)


def record_write(dataset: Dataset, pushed: PushResult) -> None:
    """Has the surrounding run, if there is one, know its output."""
    if (recorder := current_recorder()) is not None:
        _tell(dataset.source, pushed.entry, recorder.wrote, recorder.wrote_object)


def _tell(
    source: Uri,
    entry: CacheEntry,
    of_table: Callable[[str, str], None],
    of_object: Callable[[str], None],
) -> None:
    if source.table is not None and entry.info.version is not None:
        of_table(source.table[0], entry.info.version)
    elif source.scheme != "file":  # a path means something else on every machine
        text = str(source.without_secrets()).replace("?***", "")
        of_object(_NOT_IN_A_URI.sub(lambda found: quote(found[0]), text))

"""The view: what its links are called, what is one, and which folders cannot be a view."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import PurePath

    from datacachalog.domain.dataset import Dataset

# Of `2024.01.tar.gz` it is `.tar.gz`: what begins with a digit, or is long, is none, but at the
# very end. At most three, so that a link's name fits on any disk.
_SUFFIXES = re.compile(
    r"(?<=.)(?:\.[A-Za-z][A-Za-z0-9]{0,9}){0,2}\.[A-Za-z0-9_-]{1,20}\Z", re.ASCII
)
# As `source_key` and `revision_id` make them: …/objects/<source>/<revision>/<file>.
_COPY = re.compile(r"/.*/objects/[a-z0-9.-]+-[0-9a-f]{12}/[0-9a-f]{16}/[^/]+", re.DOTALL)


def link_name(dataset: Dataset, file_name: str | None = None) -> str:
    """What a dataset's link is called: its name, and the suffixes of its object's file.

    The file of a table is called `file_name`; its address does not tell the suffix.

    >>> from datacachalog.domain.dataset import Dataset
    >>> link_name(Dataset("customers", "s3://lake/2024.01.csv.gz"))
    'customers.csv.gz'
    >>> link_name(Dataset("customers.csv", "s3://lake/people.csv"))
    'customers.csv'
    """
    table, match = dataset.source.table, _SUFFIXES.search(dataset.source.name)
    if table is not None:
        suffixes = "" if file_name is None else file_name.removeprefix(table[0])
    else:
        suffixes = match[0] if match else ""
    return dataset.name if dataset.name.endswith(suffixes) else f"{dataset.name}{suffixes}"


def colliding(datasets: Iterable[Dataset]) -> tuple[Dataset, Dataset, str] | None:
    """Two datasets whose links are one on some disk, as case may not count, and that link.

    What the link of a table ends in shows only when it comes: it might be any suffix.
    """
    seen: dict[str, Dataset] = {}
    for dataset in sorted(datasets, key=lambda one: one.source.table is None):
        link = link_name(dataset)
        other, stem = seen.get(link.lower()), seen.get(link.lower().rpartition(".")[0])
        if stem is not None and stem.source.table is not None:
            other = stem
        if other is not None:
            return other, dataset, link
        seen[link.lower()] = dataset
    return None


def leads_to_a_copy(target: str) -> bool:
    """Whether a link to `target` was made by a view: it leads into some cache.

    It need not be the one in use, which may have been moved.
    """
    return _COPY.fullmatch(target) is not None


def view_problem(view: PurePath, cache: PurePath) -> str | None:
    """Why a folder cannot be the view beside this cache, as the rest of a sentence, or None."""
    if view == cache:
        return "is a cache folder"
    return "is inside of a cache folder" if view.is_relative_to(cache) else None

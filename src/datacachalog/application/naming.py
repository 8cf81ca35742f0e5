"""Datasets by their names."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from datacachalog.domain.errors import DatasetNameError, DatasetNotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from datacachalog.domain.dataset import Dataset


class NamedDatasets:
    """Datasets by name, in the order that they were given in: what is a mapping in a catalog.

    Raises:
        DatasetNameError: two have one name.
    """

    def __init__(self, datasets: Iterable[Dataset]) -> None:
        self._datasets: dict[str, Dataset] = {}
        for dataset in datasets:
            if dataset.name in self._datasets:
                raise DatasetNameError(dataset.name, "is used twice")
            self._datasets[dataset.name] = dataset

    @property
    def datasets(self) -> tuple[Dataset, ...]:
        """All datasets, in the order of the catalog."""
        return tuple(self._datasets.values())

    def __getitem__(self, name: str) -> Dataset:
        if not isinstance(name, str):
            raise TypeError(f"a dataset is asked for by its name, a str, not {name!r}")
        try:
            return self._datasets[name]
        except KeyError:
            # By name: it takes 1 ms to import, and only mistakes need it.
            difflib = importlib.import_module("difflib")
            close = difflib.get_close_matches(name, self._datasets, n=2)
            raise DatasetNotFoundError(name, tuple(close)) from None

    def __contains__(self, name: object) -> bool:
        return name in self._datasets

    def __iter__(self) -> Iterator[str]:
        return iter(self._datasets)

    def __len__(self) -> int:
        return len(self._datasets)

    def _all_or(self, names: Iterable[str] | None) -> Iterable[str]:
        if isinstance(names, str):
            raise TypeError(f"names must be several, such as [{names!r}], not one str")
        return self if names is None else names

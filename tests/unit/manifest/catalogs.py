"""Catalogs for tests: written to a file, and read back as anybody's would be."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

from datacachalog.domain.errors import CatalogInvalidError
from datacachalog.manifest import load

if TYPE_CHECKING:
    from datacachalog.manifest import Manifest


def declared(text: str | bytes, **environ: str) -> Manifest:
    """What a catalog.yaml of that text declares."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "catalog.yaml"
        file.write_bytes(text.encode() if isinstance(text, str) else text)
        return load(file, environ)


def mistakes(text: str | bytes, **environ: str) -> list[str]:
    """Every mistake in a catalog.yaml of that text."""
    with pytest.raises(CatalogInvalidError) as caught:
        declared(text, **environ)
    return list(caught.value.problems)

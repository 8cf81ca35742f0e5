"""What every store promises of a download where another one was interrupted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from datacachalog.testing.payloads import payload, seed_of
from datacachalog.testing.place import StorageFixtures

if TYPE_CHECKING:
    from pathlib import Path

    from datacachalog.ports import StoragePort
    from datacachalog.testing.place import Place


class ResumingContract(StorageFixtures):
    """`download` with `resume`."""

    @pytest.mark.parametrize("journal", [b"", b"{}", b"not one of ours\n"])
    def test_what_an_interrupted_download_left_is_not_taken_for_the_object(
        self, storage: StoragePort, place: Place, tmp_path: Path, size_bytes: int, journal: bytes
    ) -> None:
        uri, dest = place.put("a", payload(1, size_bytes)), tmp_path / "dest"
        dest.write_bytes(payload(2, size_bytes // 2))
        dest.with_name("dest.journal").write_bytes(journal)

        storage.download(uri, dest, resume=True)

        assert 1 == seed_of(dest.read_bytes())

    def test_where_one_was_to_be_gone_on_with_there_need_be_none(
        self, storage: StoragePort, place: Place, tmp_path: Path, size_bytes: int
    ) -> None:
        uri = place.put("a", payload(1, size_bytes))

        storage.download(uri, tmp_path / "dest", resume=True)

        assert 1 == seed_of((tmp_path / "dest").read_bytes())

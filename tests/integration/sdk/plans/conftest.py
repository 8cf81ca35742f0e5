"""One registry and one bucket for all code of the plans."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.sdk.plans.lake import Lake
from tests.servers.datlake import DatlakeServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.seaweedfs import SeaweedFS


@pytest.fixture(scope="session")
def shared_lake(seaweedfs: SeaweedFS, scratch: Path) -> Iterator[Lake]:
    """The processes behind `lake`; tests ask for that."""
    server = DatlakeServer(scratch / "plans", seaweedfs.environment())
    yield Lake(server, seaweedfs)
    server.stop()


@pytest.fixture
def lake(shared_lake: Lake, seaweedfs: SeaweedFS, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """A registry with tables in a bucket, which the environment names with its key."""
    known = {
        "DATLAKE_API_URL": shared_lake.server.base_url,
        "DATLAKE_API_KEY": shared_lake.server.admin_key,
        **seaweedfs.environment(),
    }
    for name, value in known.items():
        monkeypatch.setenv(name, value)
    return shared_lake

"""Worlds for faults, and how thoroughly they are tried."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults.shim import Nursery
from tests.faults.support import TWO_PARTS, World, local_world
from tests.integration.conftest import cache_dir, catalog, remote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from tests.servers.seaweedfs import SeaweedFS

__all__ = ["cache_dir", "catalog", "remote"]


@pytest.fixture(params=["file", "s3", "s3-in-parts"])
def world(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    use_environment: Callable[[Mapping[str, str]], None],
) -> World:
    """A dataset in a file, and in one and in two parts of S3."""
    if request.param == "file":
        return local_world(tmp_path)
    server: SeaweedFS = request.getfixturevalue("seaweedfs")
    use_environment(server.environment())
    client, bucket = server.client(), server.bucket()
    request.addfinalizer(client.close)  # noqa: PT021 - only where there is one

    def put(data: bytes) -> None:
        client.put_object(Bucket=bucket, Key="customers.csv", Body=data)

    made = World(tmp_path, f"s3://{bucket}/customers.csv", put)
    if request.param == "s3-in-parts":
        made.size_bytes = TWO_PARTS
    return made


@pytest.fixture
def local(tmp_path: Path) -> World:
    """A dataset in a file."""
    return local_world(tmp_path)


@pytest.fixture(scope="session")
def nursery(no_settings: None) -> Iterator[Nursery]:
    """Programs behind the shim, in the environment of each test."""
    with Nursery() as made:
        yield made

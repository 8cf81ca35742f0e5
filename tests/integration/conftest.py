"""One object on a real server, behind a proxy that every catalog of the test goes through."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.support import Remote
from tests.servers.certificates import Authority

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from datacachalog import Catalog
    from tests.servers.counting import CountingProxy
    from tests.servers.seaweedfs import SeaweedFS


@pytest.fixture(scope="session")
def authority(scratch: Path) -> Authority:
    """Whom nobody trusts who was not told to."""
    return Authority(scratch)


@pytest.fixture
def remote(
    seaweedfs: SeaweedFS,
    counting: CountingProxy,
    use_environment: Callable[[Mapping[str, str]], None],
) -> Iterator[Remote]:
    """An object that is not there yet; the environment leads to it, through `counting`."""
    use_environment(seaweedfs.environment(endpoint=counting.endpoint))
    client = seaweedfs.client()
    yield Remote(seaweedfs, counting, client, seaweedfs.bucket())
    client.close()


@pytest.fixture
def versioned(remote: Remote) -> Remote:
    """An object in a bucket that keeps versions."""
    remote.bucket = remote.server.bucket(versioned=True)
    return remote


@pytest.fixture
def cache_dir(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def catalog(remote: Remote, cache_dir: Path) -> Catalog:
    """A catalog whose one dataset, `customers`, is `remote`."""
    return remote.catalog(cache_dir)

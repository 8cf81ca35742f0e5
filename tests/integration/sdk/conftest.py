"""One real registry for all tests of the SDK: each of them has tables and principals of its own."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from datlake_sdk import DatlakeClient
from tests.integration.sdk.lake import Lake
from tests.servers.counting import CountingProxy
from tests.servers.datlake import DatlakeServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from tests.servers.seaweedfs import SeaweedFS


@pytest.fixture(scope="session")
def shared_server(no_settings: None, scratch: Path) -> Iterator[DatlakeServer]:
    """The process behind `server`; tests ask for that."""
    made = DatlakeServer(scratch / "datlake")
    yield made
    made.stop()


@pytest.fixture
def server(shared_server: DatlakeServer) -> DatlakeServer:
    """A registry that is up, and that other tests use too: what they must not miss, leave alone.

    A test may stop or kill it, and start it again; where it did not, it is started here.
    """
    if not shared_server.is_up():
        shared_server.kill()
        shared_server.start()
    return shared_server


@pytest.fixture(scope="session")
def lakes(
    no_settings: None, seaweedfs: SeaweedFS, scratch: Path
) -> Iterator[Callable[[str], Lake]]:
    """Registries with buckets, by names: the same one each time, however often a module begins."""
    made: dict[str, Lake] = {}

    def named(name: str) -> Lake:
        if name not in made:
            made[name] = Lake.start(scratch / f"lake-{name}", seaweedfs)
        return made[name]

    yield named
    for one in made.values():
        one.server.stop()


@pytest.fixture(scope="module")
def own_lake(lakes: Callable[[str], Lake], request: pytest.FixtureRequest) -> Lake:
    """A registry of the test's module, with a bucket."""
    return lakes(request.module.__name__.rpartition(".")[2])


@pytest.fixture
def lake(own_lake: Lake, use_environment: Callable[[Mapping[str, str]], None]) -> Lake:
    """The module's registry, with a bucket that this process can reach too."""
    use_environment(own_lake.s3.environment())
    return own_lake


@pytest.fixture
def new_server(no_settings: None, tmp_path: Path) -> Iterator[Callable[[], DatlakeServer]]:
    """Starts a registry of the test's own, which knows nothing yet; it takes a second or two."""
    made: list[DatlakeServer] = []

    def start() -> DatlakeServer:
        made.append(DatlakeServer(tmp_path / f"datlake-{len(made)}"))
        return made[-1]

    yield start
    for one in made:
        one.kill()


@pytest.fixture
def table() -> str:
    """The name of a table that nobody else has, and that is not there yet."""
    return f"t_{uuid.uuid4().hex[:12]}"


@pytest.fixture
def configured(server: DatlakeServer, monkeypatch: pytest.MonkeyPatch) -> DatlakeServer:
    """`server`, with an environment that names it and its administrator's key."""
    monkeypatch.setenv("DATLAKE_API_URL", server.base_url)
    monkeypatch.setenv("DATLAKE_API_KEY", server.admin_key)
    return server


@pytest.fixture
def proxy(server: DatlakeServer) -> Iterator[CountingProxy]:
    """A proxy before `server` that counts and misbehaves."""
    with CountingProxy(server.base_url) as made:
        yield made


@pytest.fixture
def client(proxy: CountingProxy, server: DatlakeServer) -> DatlakeClient:
    """The administrator, through `proxy`, who does not wait long before it asks again."""
    return DatlakeClient(proxy.endpoint, server.admin_key, retry="max=3,base_ms=1")

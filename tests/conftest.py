"""Servers for a whole test session, and a world without the developer's own settings."""

from __future__ import annotations

import itertools
import os
import signal
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

from tests.servers.counting import CountingProxy
from tests.servers.moto import MotoServer
from tests.servers.seaweedfs import SeaweedFS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_FOREIGN = ("AWS_", "AZURE_", "BOTO", "DATACACHALOG_", "DATLAKE_", "GOOGLE_", "S3_")
_FOREIGN_NAMES = (
    "ALL_PROXY",
    "CI",
    "COLUMNS",
    "FORCE_COLOR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_COLOR",
)


# By default an example that takes 200 ms is a failure, and so is data that takes a second to make.
hypothesis.settings.register_profile(
    "busy",
    parent=hypothesis.settings(),
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("busy")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--faults",
        choices=["quick", "whole"],
        default="quick",
        help="how thoroughly faults are tried: for a minute or two, or for an hour",
    )


@pytest.fixture
def whole(request: pytest.FixtureRequest) -> bool:
    """Whether everything is tried, however long it takes."""
    return bool(request.config.getoption("--faults") == "whole")


def pytest_configure() -> None:
    """Hears Ctrl-C, and lets programs hear it, also where the tests run in the background."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as shells have it there
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def scratch() -> Iterator[Path]:
    """A folder for what the session's servers keep; gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="datacachalog-tests-") as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def no_settings(scratch: Path) -> Iterator[None]:
    """No variable that configures stores, this project or a proxy, and nobody's home folder."""
    with pytest.MonkeyPatch.context() as patch:
        (scratch / "home").mkdir()
        patch.setenv("HOME", str(scratch / "home"))
        for name in list(os.environ):
            if name.startswith(_FOREIGN) or name.upper() in _FOREIGN_NAMES:
                patch.delenv(name)
        yield


@pytest.fixture(scope="session")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A new folder at every `next`, for one test each."""
    root = tmp_path_factory.mktemp("homes")
    return (root / str(number) for number in itertools.count())


@pytest.fixture(autouse=True)
def nobodys_home(no_settings: None, homes: Iterator[Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder without configuration, credentials or caches; each test has its own."""
    home = next(homes)
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / ".cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / ".config"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(home / ".aws" / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(home / ".aws" / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return home


@pytest.fixture(scope="session")
def seaweedfs(no_settings: None, scratch: Path) -> Iterator[SeaweedFS]:
    """A real S3 server; use a `bucket()` of its own in every test."""
    server = SeaweedFS.start(scratch)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def moto_s3(no_settings: None, scratch: Path) -> Iterator[MotoServer]:
    """A fake S3 server; use a `bucket()` of its own in every test."""
    server = MotoServer.start(scratch)
    yield server
    server.stop()


@pytest.fixture
def counting(seaweedfs: SeaweedFS) -> Iterator[CountingProxy]:
    """A proxy before `seaweedfs` that counts and misbehaves."""
    with CountingProxy(seaweedfs.endpoint) as proxy:
        yield proxy


@pytest.fixture
def use_environment(monkeypatch: pytest.MonkeyPatch) -> Callable[[Mapping[str, str]], None]:
    """Sets variables for one test: `use_environment(seaweedfs.environment())`."""

    def use(variables: Mapping[str, str]) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return use

"""Stores that refuse, are not there, or are asked for what they do not have."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from datacachalog import (
    Catalog,
    DatacachalogError,
    Dataset,
    NotAnObjectError,
    ObjectNotFoundError,
    StaleWarning,
    State,
    StorageAccessError,
    StorageUnavailableError,
)
from datacachalog.testing.payloads import seed_of
from tests.integration.support import SMALL, once
from tests.servers.counting import CountingProxy
from tests.servers.exchange import Reply, Script

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tests.integration.support import Remote

BOUND_S = 90
"""No call waits longer for a store that is not there (measured: 30 s where it is silent)."""


def failure(act: Callable[[], object]) -> tuple[DatacachalogError, float]:
    """The error of a call, and the seconds until it was raised."""
    begun = time.monotonic()
    with pytest.raises(DatacachalogError) as caught:
        act()
    return caught.value, time.monotonic() - begun


def command(
    *args: object, environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """A `catalog` command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "datacachalog", *map(str, args)],
        env={**os.environ, **(environ or {})},
        capture_output=True,
        text=True,
        timeout=BOUND_S,
        check=False,
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A local file that is to be pushed."""
    path = tmp_path / "new.parquet"
    path.write_bytes(b"new")
    return path


class TestWhatIsNotThere:
    def test_a_missing_object(self, remote, catalog):
        error, _ = failure(lambda: catalog.fetch("customers"))

        assert ObjectNotFoundError is type(error)
        assert remote.source in str(error)
        assert error.hint

    def test_a_missing_bucket_is_named(self, remote, cache_dir):
        remote.bucket = "there-is-no-such-bucket"
        catalog = remote.catalog(cache_dir)

        error, _ = failure(lambda: catalog.fetch("customers"))

        assert ObjectNotFoundError is type(error)
        assert "no bucket 'there-is-no-such-bucket'" in str(error)

    def test_a_push_to_a_missing_bucket(self, remote, cache_dir, file):
        remote.bucket = "there-is-no-such-bucket"

        error, _ = failure(lambda: remote.catalog(cache_dir).push("customers", file))

        assert ObjectNotFoundError is type(error)

    @pytest.mark.parametrize("source", ["tables", "tables/2024"])
    def test_a_folder_is_not_an_object(self, remote, cache_dir, source):
        remote.key = "tables/2024/customers.parquet"
        remote.put(1)
        remote.key = source

        error, _ = failure(lambda: remote.catalog(cache_dir).fetch("customers"))

        assert NotAnObjectError is type(error)

    def test_a_folder_is_not_pushed_over(self, remote, cache_dir, file):
        remote.key = "tables/2024/customers.parquet"
        remote.put(1)
        remote.key = "tables/2024"

        error, _ = failure(lambda: remote.catalog(cache_dir).push("customers", file))

        assert NotAnObjectError is type(error)

    def test_status_tells_of_it_and_of_the_others(self, remote, cache_dir):
        remote.put(1)
        datasets = [Dataset("here", remote.source), Dataset("gone", f"{remote.source}-gone")]

        statuses = Catalog(datasets, cache_dir=cache_dir).status()

        assert [State.ABSENT, State.UNKNOWN] == [status.state for status in statuses]
        assert isinstance(statuses[1].error, ObjectNotFoundError)


class TestCredentials:
    @pytest.fixture(autouse=True)
    def object(self, remote: Remote) -> None:
        remote.put(1)

    @pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
    def test_a_wrong_key_or_secret(self, remote, cache_dir, file, monkeypatch, name):
        monkeypatch.setenv(name, "wrong")
        catalog = remote.catalog(cache_dir)

        for act in (
            lambda: catalog.fetch("customers"),
            lambda: catalog.versions("customers"),
            lambda: catalog.push("customers", file, expect="any"),
            lambda: catalog.push("customers", file),
        ):
            error, seconds = failure(act)
            assert StorageAccessError is type(error)
            assert seconds < 30
        assert 1 == remote.seed()

    def test_no_credentials_at_all(self, remote, cache_dir, monkeypatch):
        """Not even from the cloud's metadata service, which here accepts but never answers."""
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
        with socket.create_server(("127.0.0.1", 0)) as silent:
            endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
            monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", endpoint)
            error, seconds = failure(lambda: remote.catalog(cache_dir).fetch("customers"))

        assert (StorageAccessError, []) == (type(error), remote.proxy.requests)
        assert seconds < 60

    def test_credentials_that_have_expired(self, remote, catalog):
        remote.proxy.hook = lambda _: Script(reply=_refusal("ExpiredToken", "It has expired."))

        error, _ = failure(lambda: catalog.fetch("customers"))

        assert StorageAccessError is type(error)
        assert "ExpiredToken: It has expired." in str(error)
        assert 1 == len(remote.proxy.requests)

    def test_credentials_that_expire_in_a_download(self, remote, catalog, cache_dir):
        remote.put(2, 20 << 20)
        remote.proxy.hook = lambda exchange: (
            Script(reply=_refusal("ExpiredToken", "It has expired."))
            if "if-match" in exchange.headers
            else None
        )

        error, _ = failure(lambda: catalog.fetch("customers"))

        assert StorageAccessError is type(error)
        remote.proxy.hook = lambda _: None
        remote.proxy.reset()
        assert 2 == seed_of(catalog.fetch("customers").read_bytes())
        assert remote.proxy.bytes_down <= 17 << 20  # what had come before was kept
        assert [] == list((cache_dir / "v1" / "partial").iterdir())

    def test_an_anonymous_catalog_sends_no_credentials(self, remote, cache_dir, tmp_path):
        _make_public(remote)
        catalog = _catalog(tmp_path, cache_dir, remote, "anonymous: true")

        assert 1 == seed_of(catalog.fetch("customers").read_bytes())
        assert State.CURRENT is catalog.status()[0].state
        assert not any("authorization" in each.headers for each in remote.proxy.requests)

    def test_an_anonymous_catalog_may_not_read_or_push_what_is_private(
        self, remote, cache_dir, tmp_path, file
    ):
        catalog = _catalog(tmp_path, cache_dir, remote, "anonymous: true")

        read, _ = failure(lambda: catalog.fetch("customers"))
        written, _ = failure(lambda: catalog.push("customers", file, expect="any"))

        assert [StorageAccessError] * 2 == [type(read), type(written)]
        assert 1 == remote.seed()

    def test_a_redirect_takes_no_credentials_to_another_server(self, remote, catalog):
        _make_public(remote)
        with CountingProxy(remote.server.endpoint) as elsewhere:
            remote.proxy.hook = lambda exchange: Script(
                reply=Reply(307, headers={"Location": elsewhere.endpoint + exchange.path})
            )

            assert 1 == seed_of(catalog.fetch("customers").read_bytes())

        assert not any("authorization" in each.headers for each in elsewhere.requests)


class TestProfiles:
    @pytest.fixture(autouse=True)
    def configured(self, remote: Remote, nobodys_home: Path, monkeypatch) -> None:
        """Profiles in `~/.aws`; the environment has neither keys nor an endpoint."""
        remote.put(1)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL"):
            monkeypatch.delenv(name)
        folder = nobodys_home / ".aws"
        folder.mkdir()
        endpoint, nowhere = remote.proxy.endpoint, "http://127.0.0.1:1"
        (folder / "config").write_text(
            f"[default]\nendpoint_url = {endpoint}\n"
            f"[profile plain]\nendpoint_url = {endpoint}\n"
            f"[profile nested]\nservices = here\nendpoint_url = {nowhere}\n"
            f"[services here]\ns3 =\n  endpoint_url = {endpoint}\n"
        )
        keys = (
            f"aws_access_key_id = {remote.server.access_key}\n"
            f"aws_secret_access_key = {remote.server.secret_key}\n"
        )
        (folder / "credentials").write_text(f"[default]\n{keys}[plain]\n{keys}[nested]\n{keys}")

    @pytest.mark.parametrize("profile", ["plain", "nested"])
    def test_one_that_the_catalog_names(self, remote, cache_dir, tmp_path, profile):
        catalog = _catalog(tmp_path, cache_dir, remote, f"profile: {profile}")

        assert 1 == seed_of(catalog.fetch("customers").read_bytes())
        assert 1 == len(catalog.versions("customers"))

    @pytest.mark.parametrize("variables", [{}, {"AWS_PROFILE": "plain"}, {"AWS_PROFILE": "nested"}])
    def test_one_that_the_environment_names(
        self, remote, cache_dir, file, use_environment, variables
    ):
        use_environment(variables)
        catalog = remote.catalog(cache_dir)

        assert 1 == seed_of(catalog.fetch("customers").read_bytes())
        catalog.push("customers", file)
        assert b"new" == remote.read()

    @pytest.mark.parametrize("how", ["catalog", "environment"])
    def test_one_that_is_not_there_is_named(self, remote, cache_dir, tmp_path, monkeypatch, how):
        option = "profile: nobody" if how == "catalog" else "region: us-east-1"
        if how == "environment":
            monkeypatch.setenv("AWS_PROFILE", "nobody")

        catalog = _catalog(tmp_path, cache_dir, remote, option)
        error, seconds = failure(lambda: catalog.fetch("customers"))

        assert StorageAccessError is type(error)
        assert "nobody" in str(error)
        assert seconds < 30


class TestUnreachable:
    """Every call ends in bounded time, with one kind of error."""

    @pytest.fixture(autouse=True)
    def keys(self, remote: Remote) -> None:
        """The environment of `remote`, whose endpoint each test replaces."""

    @pytest.fixture
    def silent(self) -> Iterator[str]:
        """A server that takes connections, and never says anything."""
        with socket.create_server(("127.0.0.1", 0), backlog=128) as listening:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"

    @pytest.mark.parametrize("endpoint", ["http://127.0.0.1:1", "http://store.invalid"])
    @pytest.mark.parametrize("call", ["fetch", "versions", "push", "push any"])
    def test_one_that_refuses_or_has_no_address(
        self, remote, cache_dir, file, monkeypatch, endpoint, call
    ):
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        catalog = remote.catalog(cache_dir)

        error, seconds = failure(lambda: _call(catalog, call, file))

        assert StorageUnavailableError is type(error)
        assert error.hint
        assert seconds < BOUND_S

    @pytest.mark.parametrize("call", ["fetch", "versions", "push", "push any"])
    def test_one_that_does_not_speak_tls(self, remote, cache_dir, file, monkeypatch, call):
        address = remote.proxy.endpoint.removeprefix("http://")
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"https://{address}")

        error, seconds = failure(lambda: _call(remote.catalog(cache_dir), call, file))

        assert "it does not speak TLS" in str(error)
        assert seconds < BOUND_S

    @pytest.mark.parametrize(
        "answer",
        [
            b"Client sent an HTTP request to an HTTPS server.\n",
            b"<html><body>The plain HTTP request was sent to HTTPS port</body></html>",
            b"<html>Reason: You're speaking plain HTTP to an SSL-enabled server port.<br/></html>",
        ],
        ids=["Go", "nginx", "Apache"],
    )
    def test_one_that_speaks_only_tls(self, remote, cache_dir, answer):
        remote.proxy.hook = lambda _: Script(reply=Reply(400, answer))

        error, seconds = failure(lambda: remote.catalog(cache_dir).fetch("customers"))

        assert StorageUnavailableError is type(error)
        assert "it does not speak plain HTTP" in str(error)
        assert seconds < BOUND_S

    def test_one_that_never_answers(self, remote, cache_dir, file, monkeypatch, silent):
        """All calls at once: each one waits for half a minute."""
        monkeypatch.setenv("AWS_ENDPOINT_URL", silent)
        catalogs = {
            call: remote.catalog(cache_dir / call)
            for call in ("fetch", "versions", "push", "push any")
        }
        seen: dict[str, tuple[DatacachalogError, float]] = {}

        def note(call: str) -> None:
            seen[call] = failure(lambda: _call(catalogs[call], call, file))

        threads = [threading.Thread(target=note, args=[call]) for call in catalogs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert dict.fromkeys(catalogs, StorageUnavailableError) == {
            call: type(error) for call, (error, _) in seen.items()
        }
        assert max(seconds for _, seconds in seen.values()) < BOUND_S

    def test_a_cached_copy_stays_readable(self, remote, cache_dir, monkeypatch):
        remote.put(1)
        path = remote.catalog(cache_dir).fetch("customers")
        monkeypatch.setattr(remote.proxy, "hook", lambda _: Script(reply=Reply(503)))
        catalog = remote.catalog(cache_dir)

        error, _ = failure(lambda: catalog.fetch("customers", refresh=True))
        with pytest.warns(StaleWarning, match="503"):
            assert path == catalog.fetch("customers")
        (status,) = catalog.status()

        assert StorageUnavailableError is type(error)
        assert (State.UNKNOWN, path) == (status.state, status.entry and status.entry.path)
        assert 1 == seed_of(path.read_bytes())


class TestOverloaded:
    @pytest.mark.parametrize("status", [500, 502, 503, 504, 429])
    @pytest.mark.parametrize("size_bytes", [SMALL, 20 << 20])
    def test_three_refusals_are_waited_out(self, remote, catalog, status, size_bytes):
        remote.put(1, size_bytes)
        refusals = iter([Script(reply=_refusal("SlowDown", "Slow down.", status))] * 3)
        remote.proxy.hook = lambda _: next(refusals, None)

        assert 1 == seed_of(catalog.fetch("customers").read_bytes())

    def test_three_refusals_of_a_push_are_waited_out(self, remote, catalog, file):
        catalog.push("customers", file)
        refusals = iter([Script(reply=_refusal("SlowDown", "Slow down.", 503))] * 3)
        remote.proxy.hook = lambda _: next(refusals, None)

        catalog.push("customers", file)

        assert b"new" == remote.read()

    def test_refusals_for_ever_end_in_an_error_and_few_requests(self, remote, catalog):
        remote.put(1)
        remote.proxy.hook = lambda _: Script(reply=_refusal("SlowDown", "Slow down.", 503))

        error, seconds = failure(lambda: catalog.fetch("customers"))

        assert StorageUnavailableError is type(error)
        assert "SlowDown: Slow down." in str(error)
        assert seconds < BOUND_S
        assert len(remote.proxy.requests) <= 20

    def test_a_connection_that_is_lost_before_the_answer_is_made_again(self, remote, catalog):
        remote.put(1)
        remote.proxy.hook = once(lambda _: Script(is_lost=True))

        assert 1 == seed_of(catalog.fetch("customers").read_bytes())


def _call(catalog: Catalog, call: str, file: Path) -> object:
    match call:
        case "fetch":
            return catalog.fetch("customers")
        case "versions":
            return catalog.versions("customers")
        case "push":
            return catalog.push("customers", file)
        case _:
            return catalog.push("customers", file, expect="any")


def _refusal(code: str, message: str, status: int = 403) -> Reply:
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return Reply(status, body.encode(), {"Content-Type": "application/xml"})


def _make_public(remote: Remote) -> None:
    """Lets everybody read the bucket."""
    statement = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": ["s3:GetObject"],
        "Resource": f"arn:aws:s3:::{remote.bucket}/*",
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    remote.client.put_bucket_policy(Bucket=remote.bucket, Policy=policy)


def _catalog(folder: Path, cache_dir: Path, remote: Remote, option: str) -> Catalog:
    """A catalog file whose store needs one option."""
    (folder / "catalog.yaml").write_text(
        f"version: 1\nstorage: {{'s3://': {{{option}}}}}\n"
        f"datasets:\n  customers: {{source: '{remote.source}'}}\n"
    )
    return Catalog.open(folder, cache_dir=cache_dir)


class TestStoresThatAreDown:
    """The last copy is served and said to be old; nobody is asked by whom it was forbidden."""

    @pytest.fixture
    def down(self, remote, cache_dir):
        """A catalog file whose one dataset is cached, and whose server is gone."""
        remote.put(1)
        remote.catalog(cache_dir).fetch("customers")
        remote.proxy.stop()
        text = f"version: 1\ndatasets: {{customers: {{source: '{remote.source}'}}}}\n"
        (cache_dir.parent / "catalog.yaml").write_text(text)
        return ["--catalog", cache_dir.parent, "--cache-dir", cache_dir]

    def test_the_command_prints_the_old_copy_and_warns(self, down):
        done = command(*down, "fetch", "customers")

        assert (0, 1) == (done.returncode, seed_of(Path(done.stdout.strip()).read_bytes()))
        assert "warning: customers may be out of date, as of" in done.stderr
        assert 1 == done.stderr.count("\n")

    def test_programs_see_it_in_the_outcome(self, down):
        done = command(*down, "fetch", "customers", "--json")

        (one,) = json.loads(done.stdout)
        assert ("stale", "storage-unavailable", "") == (
            one["outcome"],
            one["error"]["code"],
            done.stderr,
        )

    def test_a_refresh_fails(self, down):
        assert 6 == command(*down, "fetch", "customers", "--refresh").returncode

    @pytest.mark.parametrize("way", ["option", "environment"])
    def test_no_connection_is_opened_offline(self, down, remote, cache_dir, way, tmp_path):
        """Told by a server that counts whoever comes, with a chain of credentials to be asked."""
        with socket.create_server(("127.0.0.1", 0)) as listening:
            listening.settimeout(0.5)
            address = f"http://127.0.0.1:{listening.getsockname()[1]}"
            environ = {
                "AWS_ENDPOINT_URL": remote.proxy.endpoint,
                "AWS_EC2_METADATA_SERVICE_ENDPOINT": address,
                "HTTP_PROXY": address,
                "AWS_ACCESS_KEY_ID": "",
            }
            if way == "environment":
                environ["DATACACHALOG_OFFLINE"] = "1"
            more = ["--offline"] if way == "option" else []
            fetched = command(*down, "fetch", "customers", *more, environ=environ)
            status = command(*down, "status", *more, environ=environ)
            with pytest.raises(TimeoutError):
                listening.accept()

        assert (0, "while offline" in fetched.stderr) == (fetched.returncode, True)
        assert 1 == seed_of(Path(fetched.stdout.strip()).read_bytes())
        assert "unknown" in status.stdout

"""Stores and networks that answer wrongly: what is fetched is one whole revision, or nothing."""

from __future__ import annotations

import os
import socket
import threading
from contextlib import contextmanager, suppress
from itertools import count
from typing import TYPE_CHECKING

import pytest

from datacachalog import (
    DatacachalogError,
    Outcome,
    RemoteChangedError,
    StaleWarning,
    State,
    StorageUnavailableError,
)
from datacachalog.adapters.journal import journals_in
from datacachalog.adapters.storage import s3
from datacachalog.cli.store_findings import StoreCheck
from datacachalog.testing.payloads import payload, seed_of
from tests.integration.support import (
    BIG,
    MIB,
    SMALL,
    Remote,
    cached_files,
    is_later_part,
    once,
)
from tests.servers.counting import CountingProxy
from tests.servers.exchange import Reply, Script

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from datacachalog import Catalog
    from tests.servers.exchange import Exchange
    from tests.servers.moto import MotoServer


@pytest.fixture(params=[SMALL, BIG], ids=["small", "big"])
def size_bytes(request: pytest.FixtureRequest) -> int:
    size: int = request.param
    return size


@pytest.fixture
def lenient(
    moto_s3: MotoServer, use_environment: Callable[[Mapping[str, str]], None]
) -> Iterator[Remote]:
    """An object on a server that takes requests for what they are after the proxy changed them."""
    client = moto_s3.client()
    with CountingProxy(moto_s3.endpoint) as proxy:
        use_environment(moto_s3.environment(endpoint=proxy.endpoint))
        yield Remote(moto_s3, proxy, client, moto_s3.bucket())
    client.close()


PAST = "Wed, 21 Oct 2015 07:28:00 GMT"


@pytest.fixture(params=[True, False], ids=["obstore", "boto3"])
def plane(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a fork of a process that used obstore, boto3 does its work."""
    if not request.param:
        monkeypatch.setattr(s3, "survives_here", lambda: False)


class TestLostConnections:
    def test_a_download_is_taken_up_where_it_was_cut(self, remote, catalog, size_bytes):
        remote.put(1, size_bytes)
        remote.proxy.hook = once(lambda _: Script(cut_after=50_000))

        assert 1 == seed_of(catalog.fetch("customers").read_bytes())
        assert size_bytes == remote.proxy.bytes_down

    def test_a_later_part_is_taken_up_where_it_was_cut(self, remote, catalog):
        remote.put(1, BIG)
        remote.proxy.hook = once(
            lambda exchange: Script(cut_after=3 * MIB) if is_later_part(exchange) else None
        )

        assert 1 == seed_of(catalog.fetch("customers").read_bytes())
        assert BIG == remote.proxy.bytes_down

    def test_one_that_is_cut_every_time_ends_in_an_error(
        self, remote, catalog, cache_dir, size_bytes
    ):
        remote.put(1, size_bytes)
        remote.proxy.hook = lambda _: Script(cut_after=1000)

        with pytest.raises(StorageUnavailableError):
            catalog.fetch("customers")

        assert len(remote.proxy.requests) <= 60
        _assert_nothing_is_left(cache_dir)

    @pytest.mark.parametrize("honoured", [True, False])
    def test_one_that_is_cut_is_not_taken_up_with_other_bytes(
        self, lenient, cache_dir, size_bytes, honoured
    ):
        """The object changes between the two halves, whether or not the server minds."""
        lenient.put(1, size_bytes)
        requests = count()

        def hook(exchange: Exchange) -> Script:
            number = next(requests)
            if number == 1:
                lenient.put(2, size_bytes)
            dropped = {} if honoured else {"If-Match": None}
            cut_after = 50_000 if number == 0 else None
            return Script(request_headers=dropped, cut_after=cut_after)

        lenient.proxy.hook = hook

        assert 2 == seed_of(_fetched(lenient, cache_dir))

    @pytest.mark.parametrize("tag", [None, 'W/"always the same"'])
    @pytest.mark.parametrize("cut", [0, 1])
    def test_one_without_strong_tags_is_not_taken_up_with_other_bytes(
        self, lenient, cache_dir, size_bytes, tag, cut
    ):
        lenient.put(1, size_bytes)
        requests = count()

        def hook(exchange: Exchange) -> Script:
            number = next(requests)
            if number == cut + 1:
                lenient.put(2, size_bytes)
            return Script(
                headers={"ETag": tag},
                request_headers={"If-Match": None},
                cut_after=50_000 if number == cut else None,
            )

        lenient.proxy.hook = hook

        seed_of(_fetched(lenient, cache_dir))


class TestChangesInADownload:
    def test_the_new_revision_is_fetched_instead(self, remote, catalog):
        remote.put(1, BIG)
        remote.proxy.hook = _before_later_parts(lambda n: n == 0 and remote.put(2, BIG))

        assert 2 == seed_of(catalog.fetch("customers").read_bytes())

    def test_the_new_revision_is_fetched_instead_where_if_match_is_ignored(
        self, lenient, cache_dir
    ):
        lenient.put(1, BIG)
        lenient.proxy.hook = _before_later_parts(
            lambda n: n == 0 and lenient.put(2, BIG), Script(request_headers={"If-Match": None})
        )

        assert 2 == seed_of(_fetched(lenient, cache_dir))

    @pytest.mark.parametrize("honoured", [True, False])
    def test_one_that_never_stops_is_an_error(self, lenient, cache_dir, honoured):
        lenient.put(0, BIG)
        lenient.proxy.hook = _before_later_parts(
            lambda number: lenient.put(number + 1, BIG),
            None if honoured else Script(request_headers={"If-Match": None}),
        )

        with pytest.raises(RemoteChangedError):
            lenient.catalog(cache_dir).fetch("customers")

        _assert_nothing_is_left(cache_dir)

    @pytest.mark.parametrize("new_size", [0, 10, SMALL, BIG - 1, BIG + 1])
    def test_one_of_another_size_is_fetched_whole(self, lenient, cache_dir, new_size):
        lenient.put(1, BIG)
        lenient.proxy.hook = _before_later_parts(
            lambda n: n == 0 and lenient.put(2, new_size),
            Script(request_headers={"If-Match": None}),
        )

        assert payload(2, new_size) == _fetched(lenient, cache_dir)

    def test_one_that_is_deleted_is_an_error(self, remote, catalog, cache_dir):
        remote.put(1, BIG)
        remote.proxy.hook = _before_later_parts(
            lambda _: remote.client.delete_object(Bucket=remote.bucket, Key=remote.key)
        )

        with pytest.raises(DatacachalogError):
            catalog.fetch("customers")

        _assert_nothing_is_left(cache_dir)


class TestServersWithoutRangesOrTags:
    def test_one_that_ignores_ranges_sends_one_stream(self, lenient, cache_dir, size_bytes):
        lenient.put(1, size_bytes)
        lenient.proxy.hook = lambda _: Script(request_headers={"Range": None})

        assert 1 == seed_of(_fetched(lenient, cache_dir))

    def test_one_that_ignores_ranges_later_gives_no_mixture(self, lenient, cache_dir):
        lenient.put(1, BIG)
        lenient.proxy.hook = lambda exchange: (
            Script(request_headers={"Range": None}) if is_later_part(exchange) else None
        )

        _assert_whole_or_nothing(lenient.catalog(cache_dir), cache_dir)

    @pytest.mark.parametrize("tag", [None, 'W/"weak"', 'W/""', '""', ""])
    def test_tags_that_promise_nothing(self, remote, catalog, size_bytes, tag):
        remote.put(1, size_bytes)
        remote.proxy.hook = lambda _: Script(headers={"ETag": tag})
        first = catalog.fetch("customers")
        again = catalog.fetch("customers")
        remote.put(2, size_bytes)
        changed = catalog.fetch("customers")

        assert [1, 1, 2] == [seed_of(path.read_bytes()) for path in (first, again, changed)]

    def test_a_tag_without_quotes(self, remote, catalog, size_bytes):
        remote.put(1, size_bytes)
        remote.proxy.hook = lambda _: Script(headers={"ETag": remote.etag().strip('"')})
        first, again = catalog.obtain("customers"), catalog.obtain("customers")

        assert (1, first.path) == (seed_of(first.path.read_bytes()), again.path)
        assert (remote.etag(), Outcome.UNCHANGED) == (again.entry.info.etag, again.outcome)

    def test_a_tag_that_changes_with_every_request(self, remote, catalog, cache_dir, size_bytes):
        remote.put(1, size_bytes)
        numbers = count()
        remote.proxy.hook = lambda _: Script(headers={"ETag": f'"{next(numbers)}"'})

        _assert_whole_or_nothing(catalog, cache_dir)
        assert len(remote.proxy.requests) < 20

    def test_without_last_modified(self, remote, catalog, size_bytes):
        remote.put(1, size_bytes)
        remote.proxy.hook = lambda _: Script(headers={"Last-Modified": None})

        assert 1 == seed_of(catalog.fetch("customers").read_bytes())
        assert catalog.status()


class TestWebPages:
    """What a proxy, a hotel's network or a web server at the wrong address sends for anything."""

    @pytest.fixture(params=[200, 404])
    def status(self, request):
        return request.param

    @pytest.fixture(
        params=[b"<body>Please log in</body>", b"<meta charset=utf-8>Please log in<br>"]
    )
    def page(self, request, remote, status):
        """One that is XML by chance, and one that is not."""
        page = b"<!DOCTYPE html><html>" + request.param + b"</html>"
        reply = Reply(status, page, {"Content-Type": "text/html; charset=utf-8"})
        remote.put(1)
        remote.proxy.hook = lambda _: Script(reply=reply)

    @pytest.mark.usefixtures("page", "plane")
    def test_one_is_not_taken_for_the_dataset(self, catalog, cache_dir):
        with pytest.raises(StorageUnavailableError, match="not one of an S3 server"):
            catalog.fetch("customers")

        _assert_nothing_is_left(cache_dir)

    @pytest.mark.usefixtures("page", "plane")
    def test_a_copy_is_not_compared_with_one(self, remote, catalog):
        login, remote.proxy.hook = remote.proxy.hook, lambda _: None
        path = catalog.fetch("customers")
        remote.proxy.hook = login

        with pytest.raises(StorageUnavailableError, match="not one of an S3 server"):
            catalog.fetch("customers", refresh=True)
        with pytest.warns(StaleWarning, match="not one of an S3 server"):
            assert path == catalog.fetch("customers")

        assert 1 == seed_of(path.read_bytes())
        assert [State.UNKNOWN] == [status.state for status in catalog.status()]

    @pytest.mark.usefixtures("page", "plane")
    @pytest.mark.parametrize("method", ["stat", "walk", "versions", "read"])
    def test_one_tells_nothing_of_objects(self, catalog, method):
        options = {"start": 0, "end": 9} if method == "read" else {}
        ask = getattr(catalog.storage, method)

        with pytest.raises(StorageUnavailableError):
            next(iter(ask(catalog["customers"].source, **options)))

    @pytest.mark.usefixtures("plane")
    @pytest.mark.parametrize("body", [b"404 page not found", b'{"detail":"Not Found"}', b""])
    def test_a_server_that_does_not_know_s3_is_told_from_a_missing_object(
        self, remote, catalog, body
    ):
        remote.proxy.hook = lambda _: Script(reply=Reply(404, body))

        with pytest.raises(StorageUnavailableError, match="not one of an S3 server"):
            catalog.fetch("customers")

    @pytest.mark.usefixtures("page", "plane")
    def test_nothing_is_pushed_to_one(self, catalog, tmp_path):
        (tmp_path / "new").write_bytes(payload(2, SMALL))

        with pytest.raises(StorageUnavailableError):
            catalog.push("customers", tmp_path / "new", expect="any")

    @pytest.mark.usefixtures("page")
    def test_the_doctor_does_not_take_one_for_a_store(self, remote, catalog):
        (finding,) = StoreCheck(catalog.storage, {}, os.environ).findings(catalog.datasets)

        assert isinstance(finding.error, StorageUnavailableError)
        assert "not one of an S3 server" in str(finding.error)

    def test_a_dataset_may_be_a_web_page(self, remote, catalog):
        remote.client.put_object(
            Bucket=remote.bucket, Key=remote.key, Body=b"<html></html>", ContentType="text/html"
        )

        assert b"<html></html>" == catalog.fetch("customers").read_bytes()


class TestWrongAnswers:
    @pytest.mark.parametrize("which", ["every", "later"])
    @pytest.mark.parametrize(
        "content_range",
        [
            None,
            "",
            "bytes",
            "bytes */*",
            f"bytes 0-4194303/{BIG + 1}",
            f"bytes 4194304-8388607/{BIG - 1}",
            f"bytes 1-4194304/{BIG}",
            f"bytes 0-99/{BIG}",
            "bytes 0-0/0",
            "bytes 5-3/10",
            "bytes 0-4194303/*",
            "bytes 0-99999999999999999999/99999999999999999999",
        ],
    )
    def test_a_wrong_content_range_gives_no_wrong_bytes(
        self, remote, catalog, cache_dir, content_range, which
    ):
        remote.put(1, BIG)
        remote.proxy.hook = lambda exchange: (
            Script(headers={"Content-Range": content_range})
            if which == "every" or is_later_part(exchange)
            else None
        )

        _assert_whole_or_nothing(catalog, cache_dir)

    @pytest.mark.usefixtures("plane")
    @pytest.mark.parametrize(
        ("content_range", "body"),
        [
            (f"bytes 1-10/{SMALL}", payload(1, SMALL)[1:11]),
            (f"bytes 0-8/{SMALL}", payload(1, SMALL)[:9]),
            (f"bytes 0-9/{SMALL}", payload(1, SMALL)[:9]),
        ],
    )
    def test_other_bytes_than_were_asked_for_are_not_read(
        self, remote, catalog, content_range, body
    ):
        remote.put(1)
        headers = {"Content-Range": content_range, "ETag": remote.etag(), "Last-Modified": PAST}
        remote.proxy.hook = lambda _: Script(reply=Reply(206, body, headers))

        with pytest.raises(StorageUnavailableError):
            catalog.storage.read(remote.uri, 0, 10)

    @pytest.mark.parametrize("which", ["every", "later"])
    @pytest.mark.parametrize("length", [0, 100, 3 * MIB - 1, 3 * MIB + 1, BIG])
    def test_a_body_of_another_length_gives_no_wrong_bytes(
        self, remote, catalog, cache_dir, length, which
    ):
        remote.put(1, BIG)

        def hook(exchange: Exchange) -> Script | None:
            if which == "later" and not is_later_part(exchange):
                return None
            start, _, last = exchange.headers["range"].removeprefix("bytes=").partition("-")
            headers = {
                "ETag": remote.etag(),
                "Content-Range": f"bytes {start}-{min(int(last), BIG - 1)}/{BIG}",
            }
            return Script(reply=Reply(206, payload(1, BIG)[:length], headers))

        remote.proxy.hook = hook

        _assert_whole_or_nothing(catalog, cache_dir)

    @pytest.mark.parametrize(
        "status", [201, 204, 206, 300, 301, 304, 307, 400, 405, 409, 412, 416, 418, 451, 501]
    )
    def test_an_unforeseen_status_is_one_of_our_errors(
        self, remote, catalog, cache_dir, tmp_path, status
    ):
        (tmp_path / "new").write_bytes(b"new")
        remote.proxy.hook = lambda _: Script(reply=Reply(status))

        for act in (
            lambda: catalog.fetch("customers"),
            lambda: catalog.fetch("customers", version="some"),
            lambda: catalog.is_stale("customers"),
            lambda: catalog.versions("customers"),
            lambda: catalog.push("customers", tmp_path / "new"),
            lambda: catalog.storage.read(remote.uri, 0, 10),
            lambda: list(catalog.storage.walk(remote.uri)),
        ):
            remote.proxy.reset()
            with suppress(DatacachalogError):
                act()
            assert len(remote.proxy.requests) <= 60

    def test_a_server_of_another_kind_is_unavailable(
        self, remote, cache_dir, tmp_path, monkeypatch
    ):
        (tmp_path / "new").write_bytes(b"new")
        with _greeting() as endpoint:
            monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
            catalog = remote.catalog(cache_dir)
            for act in (
                lambda: catalog.fetch("customers"),
                lambda: catalog.versions("customers"),
                lambda: catalog.push("customers", tmp_path / "new"),
            ):
                with pytest.raises(StorageUnavailableError):
                    act()

    def test_a_listing_that_is_no_xml_is_one_of_our_errors(self, remote, catalog):
        remote.proxy.hook = lambda _: Script(reply=Reply(200, b"<html>Please log in"))

        with pytest.raises(DatacachalogError):
            catalog.versions("customers")

    def test_a_redirect_is_followed(self, remote, catalog):
        remote.put(1)
        remote.proxy.hook = once(
            lambda exchange: Script(
                reply=Reply(307, headers={"Location": remote.proxy.endpoint + exchange.path})
            )
        )

        assert 1 == seed_of(catalog.fetch("customers").read_bytes())

    def test_a_redirect_to_itself_is_an_error(self, remote, catalog):
        remote.put(1)
        remote.proxy.hook = lambda exchange: Script(
            reply=Reply(307, headers={"Location": remote.proxy.endpoint + exchange.path})
        )

        with pytest.raises(DatacachalogError):
            catalog.fetch("customers")


def _before_later_parts(
    act: Callable[[int], object], script: Script | None = None
) -> Callable[[Exchange], Script | None]:
    """A hook that acts, with the number of each, before every request for a later part."""
    numbers = count()

    def hook(exchange: Exchange) -> Script | None:
        if is_later_part(exchange):
            act(next(numbers))
        return script

    return hook


@contextmanager
def _greeting() -> Iterator[str]:
    """The endpoint of a server that greets its clients, as mail servers do, and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with suppress(OSError):  # the socket was closed: the end
                while True:
                    client, _ = listening.accept()
                    with client:
                        client.sendall(b"220 ready\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)
    thread.join()


def _fetched(remote: Remote, cache_dir: Path) -> bytes:
    return remote.catalog(cache_dir).fetch("customers").read_bytes()


def _assert_whole_or_nothing(catalog: Catalog, cache_dir: Path) -> None:
    """Payload 1 is fetched, or an error is raised and nothing is left."""
    try:
        path = catalog.fetch("customers")
    except DatacachalogError:
        _assert_nothing_is_left(cache_dir)
    else:
        assert 1 == seed_of(path.read_bytes())
        assert path.stat().st_size in {SMALL, BIG}


def _assert_nothing_is_left(cache_dir: Path) -> None:
    """No entry; and of the download only what another one can go on with."""
    assert [] == cached_files(cache_dir)
    folders = (cache_dir / "v1" / "partial").iterdir()
    assert all(len(journals_in(folder)) == 1 for folder in folders)

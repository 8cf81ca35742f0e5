"""Pushes to real servers: what they replace, what they leave, and what lost answers do to them."""

from __future__ import annotations

import multiprocessing
import signal
from itertools import chain, count, repeat
from typing import TYPE_CHECKING

import pytest

from datacachalog import (
    ConflictError,
    DatacachalogError,
    Outcome,
    StorageAccessError,
    StorageUnavailableError,
    UnsupportedOperationError,
)
from datacachalog.testing.payloads import payload, seed_of
from tests.integration.support import (
    BIG,
    MIB,
    SMALL,
    Remote,
    killed,
    once,
    output,
    started,
    wait_until,
)
from tests.integration.workers import append_lines, remember
from tests.servers.counting import CountingProxy
from tests.servers.exchange import Reply, Script

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from tests.servers.exchange import Exchange
    from tests.servers.moto import MotoServer

PUSH = """
import sys
from datacachalog import Catalog, Dataset

catalog = Catalog([Dataset("customers", sys.argv[1])], cache_dir=sys.argv[2])
catalog.push("customers", sys.argv[3], expect=sys.argv[4])
"""

MEASURED_PUSH = """
import sys
from datacachalog import Catalog, Dataset
from tests.integration.support import peak_memory_bytes

datasets = [Dataset("customers", sys.argv[1]), Dataset("small", sys.argv[1] + "-small")]
catalog = Catalog(datasets, cache_dir=sys.argv[2])
catalog.push("small", "LICENSE", expect=sys.argv[4])
before = peak_memory_bytes()
catalog.push("customers", sys.argv[3], expect=sys.argv[4])
print(peak_memory_bytes() - before)
"""


@pytest.fixture(params=[SMALL, BIG], ids=["small", "big"])
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A local file that is to be pushed: payload 9."""
    path = tmp_path / "new.parquet"
    path.write_bytes(payload(9, request.param))
    return path


@pytest.fixture(params=[False, True], ids=["unversioned", "versioned"])
def lenient(
    moto_s3: MotoServer,
    use_environment: Callable[[Mapping[str, str]], None],
    request: pytest.FixtureRequest,
) -> Iterator[Remote]:
    """An object on a server that takes requests for what they are after the proxy changed them."""
    client = moto_s3.client()
    with CountingProxy(moto_s3.endpoint) as proxy:
        use_environment(moto_s3.environment(endpoint=proxy.endpoint))
        yield Remote(moto_s3, proxy, client, moto_s3.bucket(versioned=request.param))
    client.close()


class TestLostAnswers:
    """The server has done what it was asked, but the connection ends before it can say so."""

    @pytest.mark.parametrize("expect", ["cached", "any"])
    def test_the_answer_to_an_upload_is_not_missed(self, remote, catalog, file, expect):
        remote.put(1)
        catalog.fetch("customers")
        remote.proxy.hook = once(_losing(remote))

        catalog.push("customers", file, expect=expect)

        assert 9 == remote.seed()
        assert Outcome.UNCHANGED is catalog.obtain("customers").outcome

    @pytest.mark.parametrize("expect", ["cached", "any"])
    def test_an_upload_none_of_whose_answers_came_is_looked_for(
        self, remote, catalog, file, expect
    ):
        remote.put(1)
        catalog.fetch("customers")
        remote.proxy.hook = _losing(remote)

        catalog.push("customers", file, expect=expect)

        assert 9 == remote.seed()
        assert Outcome.UNCHANGED is catalog.obtain("customers").outcome

    @pytest.mark.parametrize("expect", ["cached", "any"])
    def test_an_upload_that_is_answered_with_a_failure_then_is_looked_for(
        self, remote, catalog, file, expect
    ):
        """Its first answer is lost, and the server has too much to do when it is sent again."""
        remote.put(1)
        catalog.fetch("customers")
        scripts = chain([Script(is_lost=True)], repeat(Script(reply=Reply(503))))
        remote.proxy.hook = lambda exchange: (
            next(scripts) if _makes_the_object(remote, exchange) else None
        )

        catalog.push("customers", file, expect=expect)

        assert 9 == remote.seed()

    def test_what_is_found_is_compared_again_where_that_was_cut(self, remote, catalog, file):
        remote.put(1)
        catalog.fetch("customers")
        lost = once(_losing(remote))
        cut = once(lambda exchange: Script(cut_after=100) if exchange.method == "GET" else None)
        remote.proxy.hook = lambda exchange: lost(exchange) or cut(exchange)

        catalog.push("customers", file)

        assert 9 == remote.seed()
        assert ["GET", "GET"] == [one for one in remote.proxy.methods if one == "GET"][-2:]

    def test_what_is_found_then_must_be_the_pushed_bytes(self, remote, catalog, file):
        remote.put(1)
        catalog.fetch("customers")
        remote.put(2, file.stat().st_size)
        remote.proxy.hook = _losing(remote)

        with pytest.raises(StorageUnavailableError):
            catalog.push("customers", file)

        assert 2 == remote.seed()

    @pytest.mark.parametrize(
        ("size_bytes", "expect", "is_versioned"), [(SMALL, "absent", True), (BIG, "any", False)]
    )
    def test_no_answer_of_a_push_is_missed(
        self, remote, tmp_path, size_bytes, expect, is_versioned
    ):
        """One after another is lost, of those to the proof of conditions too.

        What is left is one upload that was begun, and that nobody knows the id of.
        """
        remote.bucket = remote.server.bucket(versioned=is_versioned)
        (tmp_path / "new").write_bytes(payload(9, size_bytes))
        for lost in range(0, 100, 2):
            remote.key = f"customers-{lost}"
            numbers = count()
            remote.proxy.hook = lambda _, lost=lost, numbers=numbers: Script(
                is_lost=next(numbers) == lost
            )
            catalog = remote.catalog(tmp_path / str(lost))
            catalog.push("customers", tmp_path / "new", expect=expect)
            assert 9 == remote.seed()
            if next(numbers) <= lost:
                break

        pushed = {f"customers-{number}" for number in range(0, lost + 1, 2)}
        assert (pushed, pushed) == ({*remote.keys()}, {*remote.version_keys()})
        assert remote.unfinished_uploads() in ([], ["customers-0"])

    def test_what_somebody_else_made_of_it_meanwhile_is_a_conflict(self, remote, catalog, file):
        remote.put(1)
        catalog.fetch("customers")
        passed: list[Exchange] = []

        def hook(exchange: Exchange) -> Script | None:
            if not _makes_the_object(remote, exchange):
                return None
            passed.append(exchange)
            if len(passed) == 2:
                remote.put(2)
            return Script(is_lost=len(passed) == 1)

        remote.proxy.hook = hook

        with pytest.raises(ConflictError):
            catalog.push("customers", file)

        assert 2 == remote.seed()
        assert 2 == seed_of(catalog.fetch("customers").read_bytes())


class TestTagsThatSayNothing:
    """Entity tags are no digests everywhere (Amazon S3 API, "Object": not so with KMS)."""

    @pytest.fixture
    def hook(self, lenient: Remote) -> Callable[[Exchange], Script]:
        """Gives the object a tag that has nothing to do with its bytes."""

        def hook(exchange: Exchange) -> Script:
            if not exchange.path.endswith(lenient.key):
                return Script()
            return Script(headers={"ETag": '"kms"'}, request_headers={"If-Match": None})

        return hook

    def test_what_was_sent_twice_is_known_by_its_bytes(self, lenient, hook, cache_dir, file):
        lost = once(_losing(lenient))
        lenient.proxy.hook = lambda exchange: lost(exchange) or hook(exchange)
        catalog = lenient.catalog(cache_dir)

        pushed = catalog.push("customers", file, expect="absent")

        assert ('"kms"', 9) == (pushed.info.etag, lenient.seed())

    def test_the_bytes_of_somebody_else_are_a_conflict(
        self,
        lenient: Remote,
        hook: Callable[[Exchange], Script],
        cache_dir: Path,
        file: Path,
    ) -> None:
        passed: list[Exchange] = []

        def interfere(exchange: Exchange) -> Script:
            if _makes_the_object(lenient, exchange):
                passed.append(exchange)
                if len(passed) == 2:
                    lenient.put(2, file.stat().st_size)
                return Script(is_lost=len(passed) == 1)
            return hook(exchange)

        lenient.proxy.hook = interfere

        with pytest.raises(ConflictError):
            lenient.catalog(cache_dir).push("customers", file, expect="absent")

        assert 2 == lenient.seed()

    def test_without_a_tag_nobody_elses_is_taken(self, lenient, cache_dir, file):
        def interfere(exchange: Exchange) -> Script:
            if exchange.method == "HEAD":
                lenient.put(2, file.stat().st_size)
            return Script(headers={"ETag": None} if exchange.method in {"PUT", "POST"} else {})

        lenient.proxy.hook = interfere
        if file.stat().st_size == BIG:
            pytest.skip("parts have tags, or cannot be put together")
        catalog = lenient.catalog(cache_dir)
        catalog.push("customers", file, expect="any")

        assert 2 == lenient.seed()
        assert 2 == seed_of(catalog.fetch("customers").read_bytes())


class TestTheTrial:
    def test_the_next_process_need_not_repeat_it(self, remote, cache_dir, file):
        remote.catalog(cache_dir).push("customers", file)
        remote.proxy.requests.clear()

        remote.catalog(cache_dir).push("customers", file)

        assert ["PUT", "HEAD"] == [request.method for request in remote.proxy.requests]

    def test_it_is_made_anew_for_another_bucket(self, remote, cache_dir, file):
        remote.catalog(cache_dir).push("customers", file)
        remote.bucket = remote.server.bucket()
        remote.proxy.requests.clear()

        remote.catalog(cache_dir).push("customers", file)

        assert len(remote.proxy.requests) > 2


class TestServersThatIgnoreConditions:
    @pytest.mark.parametrize(
        "ignored", [["If-Match"], ["If-None-Match"], ["If-Match", "If-None-Match"]]
    )
    @pytest.mark.parametrize("is_cached", [True, False])
    def test_a_push_is_refused_and_nothing_is_left(
        self, lenient, cache_dir, file, ignored, is_cached
    ):
        lenient.put(1)
        catalog = lenient.catalog(cache_dir)
        if is_cached:
            catalog.fetch("customers")
        before = lenient.version_keys()
        lenient.proxy.hook = lambda exchange: Script(
            request_headers=dict.fromkeys(ignored if exchange.method in {"PUT", "POST"} else [])
        )

        with pytest.raises(UnsupportedOperationError):
            catalog.push("customers", file)

        assert (1, [lenient.key], before) == (
            lenient.seed(),
            lenient.keys(),
            lenient.version_keys(),
        )

    def test_what_is_to_be_overwritten_anyway_is(self, lenient, cache_dir, file):
        lenient.put(1)
        lenient.proxy.hook = lambda _: Script(
            request_headers={"If-Match": None, "If-None-Match": None}
        )

        lenient.catalog(cache_dir).push("customers", file, expect="any")

        assert (9, [lenient.key]) == (lenient.seed(), lenient.keys())

    @pytest.mark.parametrize("tag", [None, 'W/"weak"'])
    def test_without_strong_tags_nothing_is_overwritten(self, lenient, cache_dir, file, tag):
        """There is no way to say which revision is to be replaced."""
        lenient.put(1)
        lenient.proxy.hook = lambda _: Script(headers={"ETag": tag})
        catalog = lenient.catalog(cache_dir)
        catalog.fetch("customers")

        with pytest.raises(DatacachalogError) as caught:
            catalog.push("customers", file)

        assert isinstance(caught.value, (ConflictError, UnsupportedOperationError))
        assert (1, [lenient.key]) == (lenient.seed(), lenient.keys())


class TestTraces:
    def test_a_push_leaves_the_object_and_nothing_else(self, remote, catalog, file):
        catalog.push("customers", file)
        catalog.push("customers", file, expect="any")

        assert ([remote.key], []) == (remote.keys(), remote.unfinished_uploads())

    def test_a_push_to_a_versioned_bucket_leaves_one_version(self, versioned, cache_dir, file):
        pushed = versioned.catalog(cache_dir).push("customers", file)

        assert [versioned.key] == versioned.version_keys()
        head = versioned.client.head_object(Bucket=versioned.bucket, Key=versioned.key)
        assert head["VersionId"] == pushed.info.version

    @pytest.mark.parametrize("expect", ["cached", "any"])
    def test_one_that_is_killed_leaves_the_object_as_it_was(
        self, remote, cache_dir, tmp_path, expect
    ):
        _begun_push(remote, cache_dir, tmp_path, expect, killed)

        assert (1, [remote.key]) == (remote.seed(), remote.keys())

    @pytest.mark.parametrize("expect", ["cached", "any"])
    def test_one_that_is_interrupted_leaves_no_unfinished_upload_either(
        self, remote, cache_dir, tmp_path, expect
    ):
        def interrupt(process):
            process.send_signal(signal.SIGINT)
            _, told = process.communicate(timeout=100)
            assert "KeyboardInterrupt" in told

        _begun_push(remote, cache_dir, tmp_path, expect, interrupt)

        assert (1, [remote.key]) == (remote.seed(), remote.keys())
        assert [] == remote.unfinished_uploads()
        assert [] == list((cache_dir / "v1" / "partial").iterdir())

    @pytest.mark.xfail(reason="the command ends without telling the thread that uploads")
    def test_a_command_that_is_interrupted_leaves_none_either(self, remote, cache_dir, tmp_path):
        remote.put(1)
        (tmp_path / "new").write_bytes(payload(9, 2 * BIG))
        (tmp_path / "catalog.yaml").write_text(
            f"version: 1\ndatasets:\n  customers: {{source: '{remote.source}'}}\n"
        )
        remote.proxy.hook = lambda exchange: (
            Script(delay_s=100) if "partNumber" in exchange.path else None
        )
        process = started(
            "from datacachalog.cli.main import main; main()",
            *("--catalog", tmp_path, "--cache-dir", cache_dir),
            *("push", "customers", tmp_path / "new", "--expect", "any"),
        )
        wait_until(lambda: any("partNumber" in each.path for each in remote.proxy.requests))

        process.send_signal(signal.SIGINT)
        process.communicate(timeout=100)
        remote.proxy.stop()

        assert (1, []) == (remote.seed(), remote.unfinished_uploads())

    def test_one_that_fails_in_the_middle_leaves_no_unfinished_upload(
        self, remote, catalog, tmp_path
    ):
        remote.put(1)
        (tmp_path / "new").write_bytes(payload(9, BIG))
        remote.proxy.hook = lambda exchange: (
            Script(reply=Reply(403)) if "partNumber=2" in exchange.path else None
        )

        with pytest.raises(StorageAccessError):
            catalog.push("customers", tmp_path / "new", expect="any")

        assert (1, []) == (remote.seed(), remote.unfinished_uploads())


class TestPermissions:
    def test_a_push_that_the_store_refuses_changes_nothing(self, remote, catalog, cache_dir, file):
        remote.put(1)
        path = catalog.fetch("customers")
        remote.proxy.hook = lambda exchange: (
            Script(reply=Reply(403)) if exchange.method in {"PUT", "POST"} else None
        )

        with pytest.raises(StorageAccessError):
            catalog.push("customers", file)

        assert (1, path) == (remote.seed(), catalog.fetch("customers"))
        assert [] == list((cache_dir / "v1" / "partial").iterdir())

    def test_a_conflict_is_one_without_permission_to_read_too(self, remote, catalog, file):
        remote.put(1)
        remote.proxy.hook = lambda exchange: (
            Script(reply=Reply(403)) if exchange.method in {"GET", "HEAD"} else None
        )

        with pytest.raises(ConflictError, match="another revision"):
            catalog.push("customers", file, expect="absent")

        assert 1 == remote.seed()

    def test_a_push_needs_no_permission_to_read(self, remote, catalog, file):
        remote.proxy.hook = lambda exchange: (
            Script(reply=Reply(403)) if exchange.method in {"GET", "HEAD"} else None
        )

        catalog.push("customers", file)
        remote.proxy.hook = lambda _: None

        assert 9 == remote.seed()
        assert Outcome.UNCHANGED is catalog.obtain("customers").outcome


@pytest.mark.parametrize("expect", ["cached", "any"])
def test_a_big_push_takes_little_memory(remote, cache_dir, tmp_path, expect):
    size = 192 * MIB
    (tmp_path / "new").write_bytes(payload(9, size))
    environ = remote.server.environment()

    program = started(
        MEASURED_PUSH, remote.source, cache_dir, tmp_path / "new", expect, environ=environ
    )
    grown = int(output(program, timeout_s=100))

    assert grown < 150 * MIB
    assert 9 == remote.seed()


def test_no_update_of_several_processes_is_lost(remote, tmp_path):
    """Each adds its lines to what it fetched, and begins anew where another one was quicker."""
    remote.put_bytes(b"")
    works = [(remote.source, str(tmp_path / f"cache-{n}"), f"{n}", 5) for n in range(4)]

    spawn = multiprocessing.get_context("spawn")
    with spawn.Pool(4, remember, [spawn.Barrier(4)]) as pool:
        conflicts = pool.starmap(append_lines, works, 1)
        pool.close()
        pool.join()

    expected = sorted(f"{writer} {number}" for writer in range(4) for number in range(5))
    assert expected == sorted(remote.read().decode().splitlines())
    assert sum(conflicts) >= 3  # of the first pushes, one at most went through


def _losing(remote: Remote) -> Callable[[Exchange], Script | None]:
    """A hook that loses the answer to what makes the object."""
    return lambda exchange: Script(is_lost=True) if _makes_the_object(remote, exchange) else None


def _makes_the_object(remote: Remote, exchange: Exchange) -> bool:
    """Whether this request, once answered, has replaced the object."""
    path, _, query = exchange.path.partition("?")
    if not path.endswith(remote.key):
        return False
    is_completion = exchange.method == "POST" and "uploadId=" in query
    return is_completion or (exchange.method == "PUT" and "uploadId=" not in query)


def _begun_push(
    remote: Remote,
    cache_dir: Path,
    folder: Path,
    expect: str,
    end: Callable[[subprocess.Popen[str]], object],
) -> None:
    """Begins a big push onto payload 1 in another process, and ends that in the middle."""
    remote.put(1)
    remote.catalog(cache_dir).fetch("customers")
    (folder / "new").write_bytes(payload(9, 2 * BIG))

    def hook(exchange: Exchange) -> Script | None:
        is_body = remote.key in exchange.path and exchange.method == "PUT"
        return Script(delay_s=25) if is_body and "partNumber=1" not in exchange.path else None

    remote.proxy.hook = hook
    process = started(PUSH, remote.source, cache_dir, folder / "new", expect)
    wait_until(lambda: any(map(hook, remote.proxy.requests)))
    end(process)
    remote.proxy.stop()  # what was on its way has arrived, or never will

"""Tables of a real registry, whose objects are in a real S3, as datasets of a catalog."""

from __future__ import annotations

import io
import os
import threading
import uuid
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datacachalog import (
    Catalog,
    ConflictError,
    Dataset,
    FetchAllError,
    LockMismatchError,
    ObjectNotFoundError,
    ObjectReplacedError,
    OfflineError,
    StaleWarning,
    StorageAccessError,
    StorageUnavailableError,
    VersionNotFoundError,
)
from datacachalog.adapters.api.of_catalog import registry_of
from datacachalog.adapters.storage.datlake import DatlakeStorage
from datacachalog.adapters.storage.filesystem import FilesystemStorage
from datacachalog.adapters.storage.router import RouterStorage
from datacachalog.application.explanations import Reason
from datacachalog.application.results import Outcome, State
from datacachalog.domain.errors import ConfigurationError, JobFailedError
from datacachalog.domain.lineage import recording
from datacachalog.domain.uri import Uri
from tests.integration.support import output, started
from tests.servers.datlake import DatlakeServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_s3 import S3Client

    from datacachalog import ObjectInfo
    from tests.servers.seaweedfs import SeaweedFS


@dataclass
class Lake:
    """A bucket of a real S3, a registry that knows it, and a table that is not there yet."""

    server: DatlakeServer
    client: S3Client
    bucket: str
    table: str
    folder: Path

    @property
    def source(self) -> str:
        return f"datlake://{self.table}"

    def put(self, *ids: int, key: str | None = None) -> str:
        """The URI of a Parquet file with these ids."""
        written = io.BytesIO()
        pq.write_table(pa.table({"id": list(ids)}), written)
        name = key or f"raw/{uuid.uuid4().hex}.parquet"
        self.client.put_object(Bucket=self.bucket, Key=name, Body=written.getvalue())
        return f"s3://{self.bucket}/{name}"

    def register(self, *ids: int, key: str | None = None) -> str:
        """The id of the table's next snapshot, which has these ids."""
        return self.server.registered(self.table, self.put(*ids, key=key))

    def file(self, *ids: int, name: str = "new.parquet") -> Path:
        """A local Parquet file with these ids."""
        path = self.folder / uuid.uuid4().hex / name
        path.parent.mkdir()
        pq.write_table(pa.table({"id": list(ids)}), path)
        return path

    def keys(self) -> list[str]:
        listed = self.client.list_objects_v2(Bucket=self.bucket)
        return [one["Key"] for one in listed.get("Contents", ())]

    def latest(self) -> dict[str, object]:
        found: dict[str, object] = self.server.ask("GET", f"/tables/{self.table}/snapshots/latest")
        return found

    def snapshots(self) -> list[str]:
        listed = self.server.ask("GET", f"/tables/{self.table}/snapshots")
        return [one["snapshot_id"] for one in listed]

    def catalog(self, name: str = "cache", **options: object) -> Catalog:
        """A catalog with the table as its dataset `sales`, on a cache that may be shared."""
        found = Dataset("sales", self.source, **options)  # type: ignore[arg-type]
        return Catalog([found], cache_dir=self.folder / name)


@pytest.fixture(scope="session")
def lake_server(seaweedfs: SeaweedFS, scratch: Path) -> Iterator[DatlakeServer]:
    made = DatlakeServer(scratch / "datlake-on-s3", seaweedfs.environment())
    yield made
    made.stop()


@pytest.fixture
def lake(
    lake_server: DatlakeServer,
    seaweedfs: SeaweedFS,
    table: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Lake]:
    """The environment leads to its registry, and to its store."""
    if not lake_server.is_up():
        lake_server.start()
    bucket = seaweedfs.bucket()
    lake_server.ask("POST", "/locations", {"uri": f"s3://{bucket}/"})
    for name, value in seaweedfs.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("DATLAKE_API_URL", lake_server.base_url)
    monkeypatch.setenv("DATLAKE_API_KEY", lake_server.admin_key)
    monkeypatch.setenv("DATLAKE_SDK_RETRY", "max=1,base_ms=10")
    client = seaweedfs.client()
    yield Lake(lake_server, client, bucket, table, tmp_path)
    client.close()


def ids(path: Path) -> list[int]:
    """What DuckDB reads at a path, which must end as what it is."""
    return sorted(one for (one,) in duckdb.connect().execute(f"FROM '{path}'").fetchall())


class Notes:
    """What a run hears, from whichever thread."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, ...]] = []
        self.threads: set[int] = set()

    def _note(self, *heard: str) -> None:
        self.heard.append(heard)
        self.threads.add(threading.get_ident())

    def read(self, table_name: str, snapshot_id: str) -> None:
        self._note("read", table_name, snapshot_id)

    def wrote(self, table_name: str, snapshot_id: str) -> None:
        self._note("wrote", table_name, snapshot_id)

    def read_object(self, uri: str) -> None:
        self._note("read", uri)

    def wrote_object(self, uri: str) -> None:
        self._note("wrote", uri)


class TestFetching:
    def test_a_table_is_a_file_that_duckdb_reads(self, lake: Lake) -> None:
        made = lake.register(1, 2, 3)

        fetched = lake.catalog().obtain("sales")

        assert f"{lake.table}.parquet" == fetched.path.name
        assert ([1, 2, 3], made) == (ids(fetched.path), fetched.entry.revision.version)
        assert Outcome.DOWNLOADED is fetched.outcome

    def test_what_is_unchanged_is_not_downloaded_and_what_is_new_is(self, lake: Lake) -> None:
        lake.register(1)
        catalog = lake.catalog()
        first = catalog.fetch("sales")

        assert Outcome.UNCHANGED is catalog.obtain("sales").outcome
        lake.register(1, 2)
        second = catalog.fetch("sales")

        assert [1] == ids(first)
        assert [1, 2] == ids(second)

    def test_a_table_of_a_namespace_is_one_too(self, lake: Lake) -> None:
        lake.table = f"finance.{lake.table}"
        lake.register(7)

        assert [7] == ids(lake.catalog().fetch("sales"))

    def test_after_a_fetch_it_is_there_offline(self, lake: Lake) -> None:
        lake.register(1)
        path = lake.catalog().fetch("sales")
        lake.register(2)

        with pytest.warns(StaleWarning):
            assert path == lake.catalog().fetch("sales", offline=True)
        with pytest.raises(OfflineError):
            lake.catalog("another").fetch("sales", offline=True)

    def test_a_registry_that_is_down_leaves_the_copy_with_a_warning(self, lake: Lake) -> None:
        lake.register(1)
        path = lake.catalog().fetch("sales")
        lake.server.kill()

        with pytest.warns(StaleWarning, match=f"datlake://{lake.table}"):
            assert path == lake.catalog().fetch("sales")
        with pytest.raises(StorageUnavailableError, match=f"datlake://{lake.table}"):
            lake.catalog(on_unreachable="fail").fetch("sales")

    def test_a_key_that_was_revoked_gets_no_old_copy(
        self, lake: Lake, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lake.register(1)
        key = lake.server.principal(("SELECT", f"table:{lake.table}"))
        monkeypatch.setenv("DATLAKE_API_KEY", key)
        lake.catalog().fetch("sales")
        lake.server.ask("DELETE", f"/api-keys/{key.split('_')[1]}")

        with pytest.raises(StorageAccessError, match="req") as caught:
            lake.catalog().fetch("sales")

        assert key.split("_")[2] not in str(caught.value)

    def test_who_may_not_read_it_learns_nothing_of_it(
        self, lake: Lake, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lake.register(1)
        monkeypatch.setenv("DATLAKE_API_KEY", lake.server.principal())

        with pytest.raises(StorageAccessError):
            lake.catalog().fetch("sales")
        assert "refused" == lake.catalog().why("sales").reason.value

    def test_a_replaced_object_is_not_handed_out(self, lake: Lake) -> None:
        lake.register(1, key="q1.parquet")
        lake.put(2, key="q1.parquet")

        with pytest.raises(ObjectReplacedError, match="is not what was registered"):
            lake.catalog().fetch("sales")

    def test_a_copy_outlives_the_object(self, lake: Lake) -> None:
        lake.register(1, key="q1.parquet")
        path = lake.catalog().fetch("sales")
        lake.client.delete_object(Bucket=lake.bucket, Key="q1.parquet")

        assert path == lake.catalog().fetch("sales")
        with pytest.raises(ObjectNotFoundError, match="is gone"):
            lake.catalog("another").fetch("sales")

    def test_a_dropped_table_is_not_found(self, lake: Lake) -> None:
        lake.register(1)
        lake.catalog().fetch("sales")
        lake.server.ask("DELETE", f"/tables/{lake.table}")

        with pytest.raises(ObjectNotFoundError):
            lake.catalog().fetch("sales")

    def test_the_store_of_the_object_may_be_down_for_itself(
        self, lake: Lake, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lake.register(1)
        path = lake.catalog().fetch("sales")
        lake.register(2)
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        lake_url = f"s3://{lake.bucket}"

        with pytest.raises(StorageUnavailableError, match=lake_url):
            lake.catalog("another").fetch("sales")
        with pytest.warns(StaleWarning, match=lake_url):
            assert path == lake.catalog().fetch("sales")


class TestSnapshots:
    def test_any_snapshot_can_be_fetched_by_its_id_or_time(self, lake: Lake) -> None:
        first = lake.register(1)
        between = datetime.now(UTC)
        second = lake.register(2)
        catalog = lake.catalog()

        assert [second, first] == [one.version for one in catalog.versions("sales")]
        assert [1] == ids(catalog.fetch("sales", version=first))
        assert [1] == ids(catalog.fetch("sales", as_of=between))
        assert [2] == ids(catalog.fetch("sales"))
        with pytest.raises(VersionNotFoundError):
            catalog.fetch("sales", version="snap-none")
        with pytest.raises(VersionNotFoundError):
            catalog.fetch("sales", as_of=datetime(2020, 1, 1, tzinfo=UTC))

    def test_what_was_current_then_is_not_what_was_made_last(self, lake: Lake) -> None:
        first, _ = lake.register(1), lake.register(2)
        lake.server.ask("POST", f"/tables/{lake.table}/rollback", {"snapshot_id": first})
        after = datetime.now(UTC)
        lake.register(3)

        assert [1] == ids(lake.catalog().fetch("sales", as_of=after))

    def test_one_that_the_source_names_stays_and_is_asked_for_once(self, lake: Lake) -> None:
        first = lake.register(1)
        lake.register(2)
        named = Dataset("sales", f"{lake.source}@{first}")
        path = Catalog([named], cache_dir=lake.folder / "cache").fetch("sales")
        lake.server.kill()

        catalog = Catalog([named], cache_dir=lake.folder / "cache")
        again = catalog.obtain("sales")

        assert ([1], path, Outcome.CACHED) == (ids(path), again.path, again.outcome)
        assert Reason.DECLARED is catalog.why("sales").reason
        assert Outcome.CACHED is catalog.obtain("sales", offline=True).outcome
        assert Outcome.UNCHANGED is catalog.obtain("sales", refresh=True).outcome

    def test_a_name_for_what_moves_is_no_snapshot(self, lake: Lake) -> None:
        lake.register(1)
        lake.register(2)

        def fetched(version: str) -> list[int]:
            named = Dataset("sales", f"{lake.source}@{version}")
            return ids(Catalog([named], cache_dir=lake.folder / "cache").fetch("sales"))

        assert ([1], [2]) == (fetched("1"), fetched("2"))
        with pytest.raises(VersionNotFoundError):
            fetched("latest")
        with pytest.raises(VersionNotFoundError):
            fetched("3")

    def test_status_and_plan_know_tables(self, lake: Lake) -> None:
        lake.register(1)
        catalog = lake.catalog()
        assert State.ABSENT is catalog.status()[0].state
        assert 1 == len(catalog.plan().downloads)

        catalog.fetch("sales")
        assert State.CURRENT is catalog.status()[0].state
        assert Reason.UNCHANGED is catalog.why("sales").reason

        lake.register(1)  # equal bytes, another snapshot
        assert State.STALE is catalog.status()[0].state
        assert Reason.CHANGED is catalog.why("sales").reason
        assert Outcome.DOWNLOADED is catalog.obtain("sales").outcome


class TestLocking:
    @pytest.fixture
    def file(self, lake: Lake) -> Path:
        file = lake.folder / "catalog.yaml"
        file.write_text(f"version: 1\ndatasets:\n  sales:\n    source: {lake.source}\n")
        return file

    def test_what_is_locked_is_fetched_whatever_the_table_has_now(
        self, lake: Lake, file: Path
    ) -> None:
        first = lake.register(1)
        Catalog.open(file, cache_dir=lake.folder / "cache").lock()
        lake.register(2)

        fetched = Catalog.open(file, cache_dir=lake.folder / "another").obtain("sales", locked=True)

        assert ([1], first) == (ids(fetched.path), fetched.entry.info.version)
        assert first in (lake.folder / "catalog.lock").read_text()

    def test_a_snapshot_whose_object_is_gone_is_a_mismatch(self, lake: Lake, file: Path) -> None:
        lake.register(1, key="q1.parquet")
        Catalog.open(file, cache_dir=lake.folder / "cache").lock()
        lake.register(2, 3)
        lake.client.delete_object(Bucket=lake.bucket, Key="q1.parquet")

        with pytest.raises(LockMismatchError):
            Catalog.open(file, cache_dir=lake.folder / "another").fetch("sales", locked=True)


class TestPushing:
    def test_a_push_is_a_new_object_and_the_next_snapshot(self, lake: Lake) -> None:
        first = lake.register(1, key="sales/q1.parquet")
        catalog = lake.catalog()
        catalog.fetch("sales")

        pushed = catalog.push("sales", lake.file(1, 2))

        latest = lake.latest()
        assert (pushed.info.version, first) == (latest["snapshot_id"], latest["parent_id"])
        assert str(latest["uri"]).startswith(f"s3://{lake.bucket}/sales/")
        assert f"{lake.table}.parquet" == pushed.path.name
        assert Outcome.UNCHANGED is catalog.obtain("sales").outcome
        assert [1, 2] == ids(lake.catalog("another").fetch("sales"))
        assert [1] == ids(lake.catalog("another").fetch("sales", version=first))

    def test_the_first_push_makes_the_table(self, lake: Lake) -> None:
        pushed = lake.catalog().push("sales", lake.file(1))

        assert [pushed.info.version] == lake.snapshots()
        assert str(lake.latest()["uri"]).startswith(lake.server.objects.as_uri())
        assert [1] == ids(lake.catalog("another").fetch("sales"))

    def test_a_push_after_somebody_elses_is_a_conflict(self, lake: Lake) -> None:
        lake.register(1)
        catalog = lake.catalog()
        catalog.fetch("sales")
        theirs = lake.register(2)
        keys = lake.keys()

        with pytest.raises(ConflictError, match=theirs):
            catalog.push("sales", lake.file(3))
        with pytest.raises(ConflictError):
            catalog.push("sales", lake.file(3), expect="absent")

        assert (theirs, keys) == (lake.latest()["snapshot_id"], lake.keys())
        catalog.push("sales", lake.file(3), expect="any")
        assert [3] == ids(lake.catalog("another").fetch("sales"))

    def test_of_two_that_push_at_once_one_wins(self, lake: Lake) -> None:
        first = lake.register(0)
        catalogs = [lake.catalog(f"cache-{n}") for n in range(2)]
        for catalog in catalogs:
            catalog.fetch("sales")
        both = threading.Barrier(2)

        def push(number: int) -> str | None:
            path = lake.file(number)
            both.wait()
            try:
                return catalogs[number].push("sales", path).info.version
            except ConflictError:
                return None

        with ThreadPoolExecutor(2) as pool:
            won = [one for one in pool.map(push, range(2)) if one is not None]

        assert 1 == len(won)
        assert [*won, first] == lake.snapshots()

    def test_what_the_registry_refuses_is_told_with_its_reason(self, lake: Lake) -> None:
        lake.register(1)
        path = lake.folder / "new.parquet"
        path.write_bytes(b"no parquet at all")

        with pytest.raises(JobFailedError) as caught:
            lake.catalog().push("sales", path, expect="any")

        assert "not_parquet" == caught.value.code
        assert caught.value.__notes__[-1].endswith("and in no table")
        assert 1 == len(lake.snapshots())

    def test_who_may_write_and_not_read_is_told_that_it_was_registered(
        self, lake: Lake, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first = lake.register(1)
        place = f"location:{lake.server.objects.as_uri()}/"
        key = lake.server.principal(("UPDATE", f"table:{lake.table}"), ("INSERT", place))
        monkeypatch.setenv("DATLAKE_API_KEY", key)

        with pytest.raises(StorageAccessError, match="was registered") as caught:
            lake.catalog().push("sales", lake.file(2), expect="any")

        made, *before = lake.snapshots()
        assert [first] == before
        assert made in str(caught.value)

    def test_a_csv_stays_one(self, lake: Lake) -> None:
        path = lake.folder / "people.csv"
        path.write_text("id\n5\n")

        pushed = lake.catalog().push("sales", path)

        assert ("csv", ".csv") == (lake.latest()["format"], pushed.path.suffix)
        assert [5] == ids(lake.catalog("another").fetch("sales"))


class TestRuns:
    def test_a_run_hears_what_is_fetched_also_what_was_here_already(self, lake: Lake) -> None:
        made, notes = lake.register(1), Notes()
        catalog = lake.catalog(freshness="1h")

        with recording(notes):
            catalog.fetch("sales")
            catalog.fetch("sales")

        assert [("read", lake.table, made)] * 2 == notes.heard

    def test_the_thread_that_asked_for_many_tells_of_each(self, lake: Lake) -> None:
        made, notes = lake.register(1), Notes()
        found = [
            Dataset("sales", lake.source),
            Dataset("raw", lake.put(1, key="a b.parquet")),
            Dataset("none", "datlake://no_such_table"),
            Dataset("mine", lake.file(1)),
        ]
        catalog = Catalog(found, cache_dir=lake.folder / "cache")

        with recording(notes), pytest.raises(FetchAllError):
            catalog.fetch_all()

        read = {("read", lake.table, made), ("read", f"s3://{lake.bucket}/a%20b.parquet")}
        assert (read, {threading.get_ident()}) == (set(notes.heard), notes.threads)

    def test_a_run_hears_what_is_pushed(self, lake: Lake) -> None:
        notes = Notes()
        found = [Dataset("sales", lake.source), Dataset("raw", f"s3://{lake.bucket}/raw.parquet")]
        catalog = Catalog(found, cache_dir=lake.folder / "cache")

        with recording(notes):
            made = catalog.push("sales", lake.file(1)).info.version
            catalog.push("raw", lake.file(1))

        raw = f"s3://{lake.bucket}/raw.parquet"
        assert [("wrote", lake.table, made), ("wrote", raw)] == notes.heard

    def test_nobody_hears_of_it_without_a_run(self, lake: Lake) -> None:
        lake.register(1)
        notes = Notes()
        with recording(notes):
            pass

        lake.catalog().fetch("sales")

        assert [] == notes.heard


class TestConfiguration:
    def test_a_catalog_file_may_name_the_registry(
        self, lake: Lake, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lake.register(1)
        monkeypatch.delenv("DATLAKE_API_URL")
        file = lake.folder / "catalog.yaml"
        monkeypatch.setenv("PORT", str(lake.server.port))
        file.write_text(
            "version: 1\nregistry:\n  url: http://127.0.0.1:${PORT}/\n"
            f"datasets:\n  sales:\n    source: {lake.source}\n"
        )

        assert [1] == ids(Catalog.open(file, cache_dir=lake.folder / "cache").fetch("sales"))

    def test_a_key_is_not_sent_to_another_registry_than_its_own(self, lake: Lake) -> None:
        file = lake.folder / "catalog.yaml"
        file.write_text(
            "version: 1\nregistry: {url: 'http://127.0.0.1:9'}\n"
            f"datasets:\n  sales:\n    source: {lake.source}\n"
        )

        with pytest.raises(ConfigurationError, match="the key that is configured is for"):
            Catalog.open(file, cache_dir=lake.folder / "cache").fetch("sales")

    def test_without_any_registry_it_says_what_to_set(
        self, lake: Lake, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("DATLAKE_API_URL")

        with pytest.raises(ConfigurationError) as caught:
            lake.catalog().fetch("sales")

        assert "DATLAKE_API_URL" in (caught.value.hint or "")

    def test_no_key_is_left_anywhere(self, lake: Lake) -> None:
        lake.register(1)
        catalog = lake.catalog()
        catalog.push("sales", lake.file(1), expect="any")
        catalog.fetch("sales")

        secret = lake.server.admin_key.encode()
        left = [p for p in lake.folder.rglob("*") if p.is_file() and secret in p.read_bytes()]
        assert [] == left
        assert secret.decode() not in repr(catalog)

    def test_the_command_fetches_tables(self, lake: Lake) -> None:
        lake.register(1)
        file = lake.folder / "catalog.yaml"
        file.write_text(f"version: 1\ndatasets:\n  sales:\n    source: {lake.source}\n")
        program = "from datacachalog.cli.main import main; main()"
        environ = {"DATACACHALOG_CATALOG": str(file), "DATACACHALOG_CACHE_DIR": str(lake.folder)}

        told = output(started(program, "fetch", "sales", environ=environ)).strip()

        assert [1] == ids(told)  # type: ignore[arg-type]

    def test_the_doctor_asks_the_registry(self, lake: Lake) -> None:
        lake.register(1)
        file = lake.folder / "catalog.yaml"
        file.write_text(f"version: 1\ndatasets:\n  sales:\n    source: {lake.source}\n")
        program = "from datacachalog.cli.main import main; main()"
        environ = {"DATACACHALOG_CATALOG": str(file), "DATACACHALOG_CACHE_DIR": str(lake.folder)}

        assert "datlake:// answers" in output(started(program, "doctor", environ=environ))

    def test_other_processes_fetch_tables(self, lake: Lake) -> None:
        made, notes = lake.register(1), Notes()
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool, recording(notes):
            paths = lake.catalog().fetch_all(executor=pool)

        assert [1] == ids(paths["sales"])
        assert [("read", lake.table, made)] == notes.heard


class Elsewhere(FilesystemStorage):
    """The files of a machine that the registry does not run on."""

    def stat(self, uri: Uri, *, version: str | None = None) -> ObjectInfo:
        raise ObjectNotFoundError(str(uri))


class TestFilesOfTheRegistry:
    """Objects in the registry's own folder."""

    @pytest.fixture
    def elsewhere(self, lake: Lake) -> Catalog:
        """A catalog on another machine."""
        api = registry_of(None, os.environ)
        storage = RouterStorage(lambda _: DatlakeStorage(api, Elsewhere()))
        found = [Dataset("sales", lake.source)]
        return Catalog(found, cache_dir=lake.folder / "elsewhere", storage=storage)

    def test_they_come_through_the_registry_where_they_are_not_here(
        self, lake: Lake, elsewhere: Catalog
    ) -> None:
        pushed = lake.catalog().push("sales", lake.file(1, 2))

        fetched = elsewhere.obtain("sales")

        assert [1, 2] == ids(fetched.path)
        assert pushed.entry.digest == fetched.entry.digest
        assert pushed.info.version == fetched.entry.info.version

    def test_who_may_read_the_table_and_not_the_location_is_told(
        self, lake: Lake, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lake.catalog().push("sales", lake.file(1))
        key = lake.server.principal(("SELECT", f"table:{lake.table}"))
        monkeypatch.setenv("DATLAKE_API_KEY", key)
        storage = DatlakeStorage(registry_of(None, os.environ), Elsewhere())

        with pytest.raises(StorageAccessError, match="in no storage location"):
            storage.download(Uri.parse(lake.source), lake.folder / "dest")

    @pytest.mark.parametrize("is_here", [True, False])
    def test_one_that_was_replaced_is_not_handed_out(
        self, lake: Lake, elsewhere: Catalog, is_here: bool
    ) -> None:
        uri = lake.server.object(b"id\n1\n")
        lake.server.registered(lake.table, uri, "csv")
        Path(uri.removeprefix("file://")).write_bytes(b"id\n2\n")

        with pytest.raises(ObjectReplacedError):
            (lake.catalog() if is_here else elsewhere).fetch("sales")

    @pytest.mark.parametrize("is_here", [True, False])
    def test_one_that_is_gone_is_not_found(
        self, lake: Lake, elsewhere: Catalog, is_here: bool
    ) -> None:
        uri = lake.server.object(b"id\n1\n")
        lake.server.registered(lake.table, uri, "csv")
        Path(uri.removeprefix("file://")).unlink()

        with pytest.raises(ObjectNotFoundError, match="is gone"):
            (lake.catalog() if is_here else elsewhere).fetch("sales")

"""Tables as objects, of a registry in memory whose objects are in memory too."""

from __future__ import annotations

from dataclasses import replace

import pytest

from datacachalog.adapters.api.memory import MemoryApi
from datacachalog.adapters.storage.datlake import DatlakeStorage
from datacachalog.domain.errors import (
    AuthError,
    ConflictError,
    ForbiddenError,
    ObjectNotFoundError,
    ObjectReplacedError,
    RateLimitedError,
    ServerError,
    StorageAccessError,
    StorageUnavailableError,
    TransientNetworkError,
    UnsupportedOperationError,
    VersionNotFoundError,
)
from datacachalog.domain.objects import ABSENT, NOT_MODIFIED, Revision
from datacachalog.domain.registry import Registration
from datacachalog.domain.uri import Uri
from tests.tables_contract import (
    PushingTablesContract,
    ReadingTablesContract,
    VersionsOfTablesContract,
)

SALES = Uri.parse("datlake://sales")


class _Tables:
    @pytest.fixture
    def storage(self):
        api = MemoryApi()
        return DatlakeStorage(api, api.storage)


class TestReadingTables(_Tables, ReadingTablesContract):
    pass


class TestPushingTables(_Tables, PushingTablesContract):
    pass


class TestVersionsOfTables(_Tables, VersionsOfTablesContract):
    pass


@pytest.fixture
def api():
    return MemoryApi()


@pytest.fixture
def storage(api):
    return DatlakeStorage(api, api.storage)


@pytest.fixture
def register(api):
    """Makes bytes the next snapshot of a table; its id."""

    def register(data, *, uri="mem://lake/sales/q1.parquet", table="sales"):
        api.storage.put(Uri.parse(uri), data)
        return api.register(Registration(table, uri)).snapshot_id

    return register


@pytest.fixture
def file(tmp_path):
    made = tmp_path / "new data.parquet"
    made.write_bytes(b"new")
    return made


def test_a_fetch_asks_once_and_an_unchanged_table_moves_no_bytes(api, storage, register, tmp_path):
    first = register(b"1")
    known = storage.download(SALES, tmp_path / "first")
    api.requests.clear()
    api.storage.requests.clear()

    assert NOT_MODIFIED is storage.download(SALES, tmp_path / "again", unless=known.revision)
    assert (first, ["latest"], []) == (known.version, api.requests, api.storage.requests)


def test_a_snapshot_that_is_named_and_known_costs_no_request(api, storage, register, tmp_path):
    named = Uri.parse(f"datlake://sales@{register(b'1')}")
    known = storage.download(named, tmp_path / "first")
    api.requests.clear()

    assert NOT_MODIFIED is storage.download(named, tmp_path / "again", unless=known.revision)
    assert [] == api.requests


def test_a_snapshot_that_is_named_stays_when_the_table_goes_on(storage, register, tmp_path):
    named = Uri.parse(f"datlake://sales@{register(b'1', uri='mem://lake/1.csv')}")
    register(b"2", uri="mem://lake/2.csv")

    storage.download(named, tmp_path / "named")
    storage.download(SALES, tmp_path / "latest")

    assert b"1" == (tmp_path / "named").read_bytes()
    assert b"2" == (tmp_path / "latest").read_bytes()
    assert [storage.stat(named)] == list(storage.versions(named))
    with pytest.raises(VersionNotFoundError, match="its source names"):
        storage.stat(named, version="snap-other")


def test_two_snapshots_of_equal_bytes_are_two_revisions(storage, register, tmp_path):
    register(b"same", uri="mem://lake/1.csv")
    known = storage.download(SALES, tmp_path / "first").revision
    second = register(b"same", uri="mem://lake/2.csv")

    found = storage.download(SALES, tmp_path / "second", unless=known)

    assert second == found.version
    assert not found.revision.same_bytes(known)


@pytest.mark.parametrize(
    ("uri", "file_name"),
    [
        ("mem://lake/sales/q1_2025.parquet", "sales.parquet"),
        ("mem://lake/2025.01.csv.gz", "sales.csv.gz"),
        ("mem://lake/v1.2/part", "sales.parquet"),
    ],
)
def test_a_copy_is_called_as_the_table_and_ends_as_its_object(storage, register, uri, file_name):
    register(b"1", uri=uri)

    assert file_name == storage.stat(SALES).file_name


@pytest.mark.parametrize("data", [b"longer than before", b"2"])
def test_an_object_that_was_replaced_is_not_handed_out(api, storage, register, tmp_path, data):
    register(b"1", uri="mem://lake/q1.csv")
    api.storage.put(Uri.parse("mem://lake/q1.csv"), data)

    with pytest.raises(ObjectReplacedError, match=r"is not what was registered.*q1\.csv"):
        storage.download(SALES, tmp_path / "dest")
    with pytest.raises(ObjectReplacedError):
        storage.read(SALES, 0, 1)

    assert not (tmp_path / "dest").exists()


def test_an_object_that_is_gone_is_named_with_its_snapshot(api, storage, register, tmp_path):
    made = register(b"1", uri="mem://lake/q1.csv")
    api.storage.delete(Uri.parse("mem://lake/q1.csv"))

    with pytest.raises(ObjectNotFoundError, match=rf"object of {made}, 'mem://lake/q1\.csv'"):
        storage.download(SALES, tmp_path / "dest")


@pytest.mark.parametrize("kind", [StorageAccessError, StorageUnavailableError])
def test_what_is_wrong_with_the_store_of_the_object_is_told_of_the_table(
    api, storage, register, tmp_path, kind
):
    register(b"1")
    api.storage.fail(1, kind("mem://lake/sales/q1.parquet", "no luck"), operation="download")

    with pytest.raises(kind, match=r"datlake://sales.*its object 'mem://lake/.*no luck") as caught:
        storage.download(SALES, tmp_path / "dest")

    assert "datlake://sales" == caught.value.uri


@pytest.mark.parametrize(
    ("told", "raised"),
    [
        (AuthError("no", 401, None, "req-1"), StorageAccessError),
        (ForbiddenError("no", 403, None, "req-1"), StorageAccessError),
        (TransientNetworkError("no", 0, None, "req-1"), StorageUnavailableError),
        (RateLimitedError("no", 429, None, "req-1"), StorageUnavailableError),
        (ServerError("no", 500, None, "req-1"), StorageUnavailableError),
    ],
)
def test_what_a_registry_answers_is_an_error_of_a_store(api, storage, register, told, raised):
    register(b"1")
    api.fail(1, told)

    with pytest.raises(raised, match=r"datlake://sales.*req-1"):
        storage.stat(SALES)


def test_a_table_that_names_another_table_as_its_object_is_refused(api, storage, register):
    register(b"1")
    latest = api.latest
    api.latest = lambda name: replace(latest(name), uri="datlake://sales")

    with pytest.raises(ObjectNotFoundError, match="said to be the table"):
        storage.read(SALES, 0, 1)


def test_a_push_puts_a_new_object_beside_the_one_before(api, storage, register, file):
    first = register(b"1")
    before = storage.stat(SALES)

    made = storage.upload(file, SALES, expect=before.revision)

    found = api.latest("sales")
    assert (made.version, first) == (found.snapshot_id, found.parent_id)
    assert found.uri.startswith("mem://lake/sales/2")
    assert found.uri.endswith("-new-data.parquet")
    assert b"1" == api.storage.read(Uri.parse("mem://lake/sales/q1.parquet"), 0, 9)


def test_the_first_push_makes_a_table_in_the_registrys_own_location(api, storage, file):
    made = storage.upload(file.rename(file.with_suffix(".CSV")), SALES, expect=ABSENT)

    found = api.latest("sales")
    assert (made.version, "csv") == (found.snapshot_id, found.format)
    assert found.uri.startswith("mem://objects/sales/")


def test_a_push_that_comes_too_late_uploads_nothing(api, storage, register, file):
    register(b"1", uri="mem://lake/1.csv")
    before = storage.stat(SALES).revision
    second = register(b"2", uri="mem://lake/2.csv")
    api.storage.requests.clear()

    with pytest.raises(ConflictError, match=second):
        storage.upload(file, SALES, expect=before)
    with pytest.raises(ConflictError, match=second):
        storage.upload(file, SALES, expect=ABSENT)

    assert [] == api.storage.requests


def test_a_push_that_is_overtaken_registers_nothing_and_tells_where_its_bytes_are(
    api, storage, register, file
):
    register(b"1", uri="mem://lake/1.csv")
    before = storage.stat(SALES).revision
    overtaking: list[str] = []

    def overtake(operation):
        if operation == "register" and not overtaking:
            overtaking.append("now")
            overtaking[0] = register(b"2", uri="mem://lake/2.csv")

    api.before = overtake
    with pytest.raises(ConflictError) as caught:
        storage.upload(file, SALES, expect=before)

    assert overtaking == [api.latest("sales").snapshot_id]
    (note,) = [one for one in caught.value.__notes__ if "in no table" in one]
    assert "mem://lake/2" in note


def test_a_push_that_may_replace_anything_needs_not_know_what_is_there(
    api, storage, register, file
):
    register(b"1", uri="mem://lake/1.csv")

    assert storage.upload(file, SALES).version == api.latest("sales").snapshot_id


def test_one_snapshot_is_never_pushed_to(storage, register, file):
    named = Uri.parse(f"datlake://sales@{register(b'1')}")

    with pytest.raises(UnsupportedOperationError, match="never changes"):
        storage.upload(file, named)
    with pytest.raises(UnsupportedOperationError, match="names no snapshot"):
        storage.upload(file, SALES, expect=Revision('"tag"', None, 1))


def test_the_tables_are_not_walked_through(storage):
    with pytest.raises(UnsupportedOperationError, match="datlake tables"):
        storage.walk(Uri("datlake", "", ""))

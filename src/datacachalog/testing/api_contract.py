"""The contract of `DatlakeApiPort`, as tests that every adapter passes.

An adapter's own test module is little more than this:

    class TestMyApi(ApiContract):
        @pytest.fixture
        def place(self, tmp_path):
            return ApiPlace(MyApi(…), tmp_path, …)
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from datacachalog.domain.errors import (
    ApiConflictError,
    AuthError,
    CacheError,
    ForbiddenError,
    JobFailedError,
    LocalFileError,
    NotFoundError,
    ValidationError,
)
from datacachalog.domain.registry import Registration
from datacachalog.testing.payloads import RecordedTransfer, at_once

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from datacachalog.domain.registry import Snapshot
    from datacachalog.ports import DatlakeApiPort

SCHEMA: Mapping[str, object] = {"fields": [{"name": "id", "type": "int64", "nullable": True}]}
ODD_NAMES = ["CON", "con", "nul", "A", "a", "0", "a-b_c", "x" * 100, "team.sales", "Team.Sales"]
MALFORMED_NAMES = [
    "",
    ".",
    "..",
    "../a",
    "a/b",
    "a b",
    "a.b.c",
    "-a",
    "a" * 101,
    "a\x00",
    "é",
    "a?",
]


@dataclass(frozen=True, slots=True)
class ApiPlace:
    """An adapter, and who else asks the same registry.

    `api` asks as somebody who may do everything; `reader_of` makes an adapter of somebody who may
    read one table and nothing else; `stranger` asks with a key that nobody knows. `folder` is for
    files, and `bucket` one that uploads go to.
    """

    api: DatlakeApiPort
    reader_of: Callable[[str], DatlakeApiPort]
    stranger: DatlakeApiPort
    folder: Path
    bucket: str = "objects"

    def name(self) -> str:
        """Of a table that is not there yet."""
        return f"t-{uuid.uuid4().hex[:12]}"

    def uploaded(self, text: str = "id\n1\n2\n", name: str | None = None) -> str:
        """The URI of a new CSV file at the registry."""
        path = self.folder / f"{uuid.uuid4().hex}.csv"
        path.write_text(text)
        return self.api.upload(path, self.bucket, name or f"contract/{path.name}")

    def registered(self, table: str, text: str = "id\n1\n2\n") -> Snapshot:
        """A new snapshot of a table."""
        return self.api.register(Registration(table, self.uploaded(text), "csv", SCHEMA))


class ApiContract:
    """Every sentence of `DatlakeApiPort`; subclasses override the fixture `place`."""

    @pytest.fixture
    def place(self) -> ApiPlace:
        raise NotImplementedError

    @pytest.fixture
    def api(self, place: ApiPlace) -> DatlakeApiPort:
        return place.api

    @pytest.fixture
    def table(self, place: ApiPlace) -> str:
        return place.name()

    def test_the_identity_is_the_same_for_everybody_who_asks(
        self, place: ApiPlace, table: str
    ) -> None:
        place.registered(table)

        told = {one.identity() for one in (place.api, place.reader_of(table), place.stranger)}

        assert 1 == len(told)
        assert "://" in told.pop()

    def test_what_is_registered_is_the_latest(self, place: ApiPlace, table: str) -> None:
        uri = place.uploaded("id\n1\n2\n3\n")

        made = place.api.register(Registration(table, uri, "csv", SCHEMA))

        assert made == place.api.latest(table) == place.api.snapshot(table, made.snapshot_id)
        assert (table, uri, "csv", 1, None) == (
            made.table_name,
            made.uri,
            made.format,
            made.seq,
            made.parent_id,
        )
        assert (uri, 9, SCHEMA) == (str(made), made.size_bytes, made.schema)
        assert timedelta(0) == made.created_at.utcoffset()

    def test_the_next_snapshot_has_the_last_one_as_its_parent(
        self, place: ApiPlace, table: str
    ) -> None:
        first = place.registered(table)

        second = place.registered(table)

        assert second == place.api.latest(table)
        assert (2, first.snapshot_id) == (second.seq, second.parent_id)
        assert first.created_at <= second.created_at

    def test_a_snapshot_never_changes(self, place: ApiPlace, table: str) -> None:
        first = place.registered(table)

        place.registered(table)

        assert first == place.api.snapshot(table, first.snapshot_id)

    def test_the_snapshots_come_newest_first_and_without_their_schemas(
        self, place: ApiPlace, table: str
    ) -> None:
        made = [place.registered(table) for _ in range(3)]

        found = list(place.api.snapshots(table))

        assert [one.snapshot_id for one in reversed(made)] == [one.snapshot_id for one in found]
        assert [table] * 3 == [one.table_name for one in found]
        assert [None] * 3 == [one.schema for one in found]
        assert [one.uri for one in reversed(made)] == [one.uri for one in found]

    def test_the_same_object_again_is_the_same_snapshot(self, place: ApiPlace, table: str) -> None:
        asked = Registration(table, place.uploaded(), "csv", SCHEMA)
        first = place.api.register(asked)

        again = place.api.register(asked)

        assert first == again
        assert 1 == len(list(place.api.snapshots(table)))

    def test_an_object_of_before_is_current_again(self, place: ApiPlace, table: str) -> None:
        asked = Registration(table, place.uploaded(), "csv", SCHEMA)
        first = place.api.register(asked)
        place.registered(table)

        again = place.api.register(asked)

        assert first == again == place.api.latest(table)
        assert 2 == len(list(place.api.snapshots(table)))

    def test_a_snapshot_of_another_table_is_not_found(self, place: ApiPlace, table: str) -> None:
        made = place.registered(table)
        other = place.name()
        place.registered(other)

        with pytest.raises(NotFoundError):
            place.api.snapshot(other, made.snapshot_id)

    def test_the_namespace_that_all_are_in_need_not_be_said(
        self, place: ApiPlace, table: str
    ) -> None:
        made = place.registered(table)

        assert made == place.api.latest(f"default.{table}")
        assert made == place.api.snapshot(f"default.{table}", made.snapshot_id)

    def test_names_that_differ_only_in_case_are_two_tables(self, place: ApiPlace) -> None:
        name = place.name()
        lower, upper = place.registered(f"{name}-a"), place.registered(f"{name}-A")

        assert (lower, upper) == (place.api.latest(f"{name}-a"), place.api.latest(f"{name}-A"))

    @pytest.mark.parametrize("name", ODD_NAMES)
    def test_an_odd_name_is_a_name(self, place: ApiPlace, name: str) -> None:
        made = place.registered(name)

        assert made == place.api.latest(name)
        assert made == place.api.snapshot(name, made.snapshot_id)
        assert name == made.table_name

    @pytest.mark.parametrize("name", MALFORMED_NAMES)
    def test_a_malformed_name_is_refused(self, place: ApiPlace, name: str) -> None:
        for ask in (
            lambda: place.api.latest(name),
            lambda: place.api.snapshot(name, "snap-" + "0" * 32),
            lambda: list(place.api.snapshots(name)),
        ):
            with pytest.raises(ValidationError):
                ask()

    @pytest.mark.parametrize(
        "snapshot_id", ["", ".", "..", "../latest", "a/b", "snap-1", "x" * 999]
    )
    def test_a_malformed_id_is_not_found(
        self, place: ApiPlace, table: str, snapshot_id: str
    ) -> None:
        place.registered(table)

        with pytest.raises((NotFoundError, ValidationError)):
            place.api.snapshot(table, snapshot_id)

    def test_what_is_not_there_is_not_found(self, api: DatlakeApiPort, table: str) -> None:
        with pytest.raises(NotFoundError):
            api.latest(table)
        with pytest.raises(NotFoundError):
            api.snapshot(table, "snap-" + "0" * 32)
        with pytest.raises(NotFoundError):
            list(api.snapshots(table))

    def test_a_reader_reads_what_it_may(self, place: ApiPlace, table: str) -> None:
        made = place.registered(table)

        reader = place.reader_of(table)

        assert made == reader.latest(table) == reader.snapshot(table, made.snapshot_id)
        assert [made.snapshot_id] == [one.snapshot_id for one in reader.snapshots(table)]

    @pytest.mark.parametrize("is_there", [True, False])
    def test_who_may_not_read_a_table_learns_not_even_whether_it_is_there(
        self, place: ApiPlace, table: str, *, is_there: bool
    ) -> None:
        mine = place.name()
        place.registered(mine)
        made = place.registered(table).snapshot_id if is_there else "snap-" + "0" * 32
        reader = place.reader_of(mine)

        for ask in (
            lambda: reader.latest(table),
            lambda: reader.snapshot(table, made),
            lambda: list(reader.snapshots(table)),
        ):
            with pytest.raises(ForbiddenError):
                ask()

    def test_who_may_only_read_makes_nothing(self, place: ApiPlace, table: str) -> None:
        made = place.registered(table)
        reader, uri = place.reader_of(table), place.uploaded()

        with pytest.raises(ForbiddenError):
            reader.register(Registration(table, uri, "csv", SCHEMA))
        with pytest.raises(ForbiddenError):
            reader.upload(_file(place), place.bucket, f"contract/{place.name()}.csv")

        assert made == place.api.latest(table)

    def test_a_stranger_is_told_nothing(self, place: ApiPlace, table: str) -> None:
        made = place.registered(table)
        api, asked = place.stranger, Registration(table, made.uri, "csv", SCHEMA)

        for ask in (
            lambda: api.latest(table),
            lambda: api.snapshot(table, made.snapshot_id),
            lambda: list(api.snapshots(table)),
            lambda: api.register(asked),
            lambda: api.upload(_file(place), place.bucket, "contract/a.csv"),
        ):
            with pytest.raises(AuthError) as caught:
                ask()
            assert not isinstance(caught.value, ForbiddenError)

    def test_only_one_follows_a_snapshot(self, place: ApiPlace, table: str) -> None:
        first = place.registered(table)
        asked = Registration(table, place.uploaded(), "csv", SCHEMA, first.snapshot_id)
        second = place.api.register(asked)

        late = Registration(table, place.uploaded(), "csv", SCHEMA, first.snapshot_id)
        with pytest.raises(ApiConflictError):
            place.api.register(late)

        assert first.snapshot_id == second.parent_id
        assert second == place.api.latest(table)

    def test_a_first_snapshot_may_have_to_be_the_first(self, place: ApiPlace, table: str) -> None:
        made = place.api.register(Registration(table, place.uploaded(), "csv", SCHEMA, "none"))

        with pytest.raises(ApiConflictError):
            place.api.register(Registration(table, place.uploaded(), "csv", SCHEMA, "none"))

        assert made == place.api.latest(table)

    def test_what_was_current_is_told_by_the_time(self, place: ApiPlace, table: str) -> None:
        uris = [place.uploaded(text) for text in ("id\n1\n", "id\n2\n")]
        times, made = [datetime.now(UTC)], []
        for uri in (*uris, uris[0]):  # the last one brings the first one back
            made.append(place.api.register(Registration(table, uri, "csv", SCHEMA)))
            times.append(datetime.now(UTC))

        assert made == [place.api.latest_as_of(table, when) for when in times[1:]]
        assert made[0] == made[2] != made[1]
        with pytest.raises(NotFoundError):
            place.api.latest_as_of(table, times[0])

    def test_a_snapshot_is_downloaded_as_it_was_registered(
        self, place: ApiPlace, table: str
    ) -> None:
        text, heard = "id\n" + "1\n" * 100_000, RecordedTransfer()
        made, dest = place.registered(table, text), place.folder / "dest"

        place.api.download_snapshot(made, dest, heard)

        assert text == dest.read_text()
        assert ([made.size_bytes], made.size_bytes) == (heard.totals, heard.moved_bytes)
        with pytest.raises(ApiConflictError):
            place.api.download_snapshot(replace(made, etag='"another"'), dest)
        with pytest.raises(CacheError):
            place.api.download_snapshot(made, place.folder / "no such folder" / "dest")

    def test_what_is_no_object_is_no_snapshot(self, place: ApiPlace, table: str) -> None:
        uri = place.uploaded()

        with pytest.raises(JobFailedError) as caught:
            place.api.register(Registration(table, uri + "-that-is-not-there", "csv", SCHEMA))

        assert "uri_not_found" == caught.value.code
        with pytest.raises(NotFoundError):
            place.api.latest(table)

    def test_an_upload_is_there_as_it_was_sent(self, place: ApiPlace, table: str) -> None:
        path, heard = _file(place, "id\n" + "1\n" * 100_000), RecordedTransfer()

        uri = place.api.upload(path, place.bucket, f"contract/{table}.csv", heard)

        made = place.api.register(Registration(table, uri, "csv", SCHEMA))
        assert path.stat().st_size == made.size_bytes == heard.moved_bytes

    def test_an_upload_writes_nothing_over(self, place: ApiPlace, table: str) -> None:
        name = f"contract/{table}.csv"
        uri = place.api.upload(_file(place, "id\n1\n"), place.bucket, name)

        for text in ("id\n1\n2\n3\n", "id\n1\n"):
            with pytest.raises(ApiConflictError):
                place.api.upload(_file(place, text), place.bucket, name)

        assert 5 == place.api.register(Registration(table, uri, "csv", SCHEMA)).size_bytes

    def test_what_is_no_file_is_not_uploaded(self, place: ApiPlace) -> None:
        for path in (place.folder / "missing", place.folder):
            with pytest.raises(LocalFileError):
                place.api.upload(path, place.bucket, "contract/a.csv")

    def test_threads_register_each_its_own(self, place: ApiPlace, table: str) -> None:
        place.registered(table)

        at_once(4, lambda _: place.registered(table))

        found = list(place.api.snapshots(table))
        assert [5, 4, 3, 2, 1] == [one.seq for one in found]
        assert found[0].snapshot_id == place.api.latest(table).snapshot_id

    def test_names_do_not_leak_into_each_other(self, place: ApiPlace) -> None:
        name = place.name()
        made = {one: place.registered(one) for one in (name, f"{name}-2", f"{name}_2")}

        assert made == {one: place.api.latest(one) for one in made}


def _file(place: ApiPlace, text: str = "id\n1\n") -> Path:
    path = place.folder / f"{uuid.uuid4().hex}.csv"
    path.write_text(text)
    return path

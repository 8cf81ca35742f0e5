"""The task that looks at an object and makes it a table's snapshot."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from sqlalchemy import select

from datacachalog.domain.errors import (
    InvalidUriError,
    NotAnObjectError,
    ObjectNotFoundError,
    RemoteChangedError,
    StorageAccessError,
    StorageError,
)
from datacachalog.server.catalog.conditions import require_match, tag_of
from datacachalog.server.catalog.foreign import refuse_foreign
from datacachalog.server.catalog.locations import (
    MAX_URI_CHARACTERS,
    hostile_uri,
    location_for,
    storage_at,
)
from datacachalog.server.catalog.snapshots import Registration, commit_snapshot, tell_of
from datacachalog.server.catalog.tables import NAME_PATTERN, require_write, table_to_write
from datacachalog.server.errors import ConflictProblem, ForbiddenProblem, Problem
from datacachalog.server.identity.principals import caller_again
from datacachalog.server.lineage.io import Direction, record_one
from datacachalog.server.schema import schemas, snapshots
from datacachalog.server.transfer.plain_files import PlainFiles
from datacachalog.server.values import JOB_NAME, RUN_ID
from datacachalog.server.work import tasks
from datacachalog.server.work.evolving import SchemaPolicy, differences
from datacachalog.server.work.inspecting import MAX_COLUMNS, Inspected, NotOfFormatError, inspect

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection, Row

    from datacachalog.domain.objects import ObjectInfo
    from datacachalog.domain.uri import Uri
    from datacachalog.server.catalog.locations import Location
    from datacachalog.server.database import Database
    from datacachalog.server.identity.access import Caller
    from datacachalog.server.transfer.plain_files import Readable
    from datacachalog.server.work.tasks import Task

KIND = "register-snapshot"


class Column(BaseModel):
    """A column, as Arrow writes its type. A file's may have names and types of any length."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(examples=["id"])
    type: str = Field(examples=["int64"])
    nullable: bool = True


class Columns(BaseModel):
    """The columns of a table, in their order."""

    model_config = ConfigDict(extra="forbid")

    fields: list[Column] = Field(max_length=MAX_COLUMNS)


class Payload(BaseModel):
    """What a registration asks for."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    table_name: str = Field(pattern=NAME_PATTERN, examples=["sales_q1"])
    uri: str = Field(
        pattern="^(s3|file)://",
        max_length=MAX_URI_CHARACTERS,
        examples=["s3://lake/sales/q1.parquet"],
    )
    format: str = Field(pattern=r"^[a-z0-9][a-z0-9_.+-]{0,31}$", examples=["parquet"])
    columns: Columns | None = Field(
        default=None,
        alias="schema",
        description="as snapshots have it; what the object says of itself must be the same",
    )
    expected_parent: str | None = Field(
        default=None,
        pattern=r"^(none|snap-[0-9a-f]{32})$",
        description="the id of the snapshot that this one follows, or `none`",
    )
    job_name: Annotated[str, Field(pattern=JOB_NAME)] | None = None
    run_id: Annotated[str, Field(pattern=RUN_ID)] | None = Field(
        default=None, description="the run that wrote it"
    )

    @model_validator(mode="after")
    def _names_a_run(self) -> Self:
        if self.job_name is not None and self.run_id is None:
            raise ValueError("a job_name comes with its run_id")
        return self


class Order(Payload):
    """What a task is told: what was asked for, and what was found true of `If-Match`."""

    if_match: str | None = None


class PermanentError(Exception):
    """What no further attempt would change."""

    def __init__(self, code: str, detail: str) -> None:
        self.code = code
        super().__init__(detail)


@dataclass(slots=True)
class Registrar:
    """Does registrations. Threads may share one."""

    database: Database
    environ: Mapping[str, str]
    _storages: dict[str, tuple[Location, Readable]] = field(default_factory=dict)

    def work(self, task: Task) -> None:
        """Ends the task: with the snapshot, or with the reason why there is none."""
        try:
            payload = Order.model_validate(task.payload)
            asked = self._looked_at(task, payload)
            with self.database.writing() as connection:
                self._commit(connection, task, asked, payload)
        except PermanentError as error:
            self._end(tasks.fail, task, error.code, str(error))
        except Problem as problem:
            code = str(problem.more.get("code", problem.code)).replace("-", "_")
            self._end(tasks.fail, task, code, problem.detail)
        except tasks.LeaseLostError:
            pass  # another worker has the task by now, and ends it
        except StorageError as error:
            self._end(tasks.retry, task, "storage_unavailable", str(error))

    def _end(self, how: Any, task: Task, code: str, error: str) -> None:
        with self.database.writing() as connection:
            how(connection, task, code, error)

    def _looked_at(self, task: Task, payload: Order) -> Registration:
        """The object as it is, if the caller may register it still: much may have changed since."""
        uri = hostile_uri(payload.uri)
        with self.database.reading() as connection:
            caller = _caller_of(connection, task)
            require_write(connection, caller, payload.table_name)
            location = location_for(connection, caller, uri)
            refuse_foreign(connection, caller, uri, payload.table_name)
        info, found = _inspected(self._storage(location), uri, payload.format)
        if payload.columns is not None:
            found = Inspected(_agreed(payload.columns, found), found.row_count)
        return Registration(
            payload.table_name,
            info,
            payload.format,
            found,
            task.principal_id,
            payload.expected_parent,
            payload.run_id,
        )

    def _storage(self, location: Location) -> Readable:
        if location.scheme == "file":
            return PlainFiles()
        known = self._storages.get(location.id)
        if known is None or known[0] != location:
            known = self._storages[location.id] = (location, storage_at(location, self.environ))
        return known[1]

    def _commit(
        self, connection: Connection, task: Task, asked: Registration, payload: Order
    ) -> None:
        # No upload replaces the object from now on.
        self.database.hold(connection, asked.info.uri.as_uri())
        caller = _caller_of(connection, task)  # again: to look may have taken long
        self._refuse_replaced(connection, caller, asked)
        table = table_to_write(connection, caller, asked.table)
        refuse_foreign(connection, caller, asked.info.uri, asked.table)
        require_match(payload.if_match, tag_of(table) if table.current_snapshot_id else None)
        _refuse_other_schema(connection, table, asked)
        made = commit_snapshot(connection, table, asked)
        if asked.run_id is not None:
            wrote = {"table_id": table.id, "snapshot_id": made.id}
            record_one(connection, asked.run_id, Direction.OUTPUT, **wrote)
        result = {"table_name": payload.table_name, "snapshot_id": made.id}
        tasks.complete(connection, task, result)
        if made.is_news:
            tell_of(connection, table, asked, made)

    def _refuse_replaced(self, connection: Connection, caller: Caller, asked: Registration) -> None:
        """Looks once more at an object that is held: an upload may have replaced it before.

        Raises:
            StorageError: it is another one; the task begins anew.
        """
        uri = asked.info.uri
        found = self._storage(location_for(connection, caller, uri)).stat(uri)
        if found.revision != asked.info.revision:
            raise RemoteChangedError(str(uri), "an upload replaced it")


def _inspected(storage: Readable, uri: Uri, form: str) -> tuple[ObjectInfo, Inspected]:
    try:
        info = storage.stat(uri)
        return info, inspect(storage, info, form)
    except (ObjectNotFoundError, NotAnObjectError, InvalidUriError) as error:
        raise PermanentError("uri_not_found", str(error)) from error
    except StorageAccessError as error:
        raise PermanentError("location_forbidden", str(error)) from error
    except NotOfFormatError as error:
        raise PermanentError(f"not_{form}", f"{uri}: {error}") from error


def _caller_of(connection: Connection, task: Task) -> Caller:
    """Who asked for a task, as it may act now."""
    caller = caller_again(connection, task.principal_id, task.key_id, task.role_ids)
    if caller is None:
        raise ForbiddenProblem("who asked for it, or with what key, is not valid any more")
    return caller


def _agreed(columns: Columns, found: Inspected) -> list[dict[str, Any]]:
    """The columns that the caller gave, which are to be those that the object has."""
    if found.fields is None:
        return [one.model_dump() for one in columns.fields]
    told = [(one.name, one.type) for one in columns.fields]
    seen = [(one["name"], one["type"]) for one in found.fields]
    if told != seen:
        raise PermanentError("schema_mismatch", f"its columns are {seen}, not {told}")
    return found.fields


def _refuse_other_schema(connection: Connection, table: Row[Any], asked: Registration) -> None:
    if table.current_snapshot_id is None or asked.inspected.fields is None:
        return
    before = connection.execute(
        select(schemas.c.fields)
        .join(snapshots, snapshots.c.schema_id == schemas.c.id)
        .where(snapshots.c.id == table.current_snapshot_id)
    ).scalar()
    policy = SchemaPolicy(table.schema_policy)
    if before is not None and (found := differences(before, asked.inspected.fields, policy)):
        told = f"the table's schema policy is {policy}: {'; '.join(found)}"
        raise ConflictProblem(told, code="schema_incompatible")

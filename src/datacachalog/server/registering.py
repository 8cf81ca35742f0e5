"""The task that looks at an object and makes it a table's snapshot."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select

from datacachalog.domain.errors import (
    NotAnObjectError,
    ObjectNotFoundError,
    StorageAccessError,
    StorageError,
)
from datacachalog.server import tasks
from datacachalog.server.errors import ConflictProblem, ForbiddenProblem, Problem
from datacachalog.server.evolving import SchemaPolicy, differences
from datacachalog.server.inspecting import Inspected, NotOfFormatError, inspect
from datacachalog.server.locations import hostile_uri, location_for, storage_at
from datacachalog.server.principals import caller_now
from datacachalog.server.schema import schemas, snapshots
from datacachalog.server.tables import (
    Registration,
    commit_snapshot,
    locked_table,
    require_write,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection, Row

    from datacachalog.ports import StoragePort
    from datacachalog.server.access import Caller
    from datacachalog.server.database import Database
    from datacachalog.server.locations import Location
    from datacachalog.server.tasks import Task

KIND = "register-snapshot"


class Payload(BaseModel):
    """What a registration asks for."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    table_name: str
    uri: str
    format: str
    fields: list[dict[str, Any]] | None = Field(default=None, alias="schema")
    expected_parent: str | None = None


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
    _storages: dict[str, tuple[Location, StoragePort]] = field(default_factory=dict)

    def work(self, task: Task) -> None:
        """Ends the task: with the snapshot, or with the reason why there is none."""
        try:
            payload = Payload.model_validate(task.payload)
            asked, known = self._looked_at(task, payload)
            with self.database.writing() as connection:
                self._commit(connection, task, asked, payload, known)
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

    def _looked_at(self, task: Task, payload: Payload) -> tuple[Registration, Caller]:
        """The object as it is, and the caller as it may act now: much may have changed since."""
        uri = hostile_uri(payload.uri)
        with self.database.reading() as connection:
            caller = caller_now(connection, task.key_id)
            if caller is None:
                raise ForbiddenProblem("the API key that asked for it is not valid any more")
            require_write(connection, caller, payload.table_name)
            location = location_for(connection, caller, uri)
        storage = self._storage(location)
        try:
            info = storage.stat(uri)
            found = inspect(storage, info, payload.format)
        except (ObjectNotFoundError, NotAnObjectError) as error:
            raise PermanentError("uri_not_found", str(error)) from error
        except StorageAccessError as error:
            raise PermanentError("location_forbidden", str(error)) from error
        except NotOfFormatError as error:
            raise PermanentError(f"not_{payload.format}", f"{uri}: {error}") from error
        if payload.fields is not None:
            found = Inspected(_agreed(payload, found), found.row_count)
        asked = Registration(
            payload.table_name,
            info,
            payload.format,
            found,
            task.principal_id,
            payload.expected_parent,
        )
        return asked, caller

    def _storage(self, location: Location) -> StoragePort:
        known = self._storages.get(location.id)
        if known is None or known[0] != location:
            known = self._storages[location.id] = (location, storage_at(location, self.environ))
        return known[1]

    def _commit(
        self,
        connection: Connection,
        task: Task,
        asked: Registration,
        payload: Payload,
        caller: Caller,
    ) -> None:
        require_write(connection, caller, payload.table_name)
        table = locked_table(connection, asked.table, asked.created_by)
        _refuse_other_schema(connection, table, asked)
        snapshot_id = commit_snapshot(connection, table, asked)
        result = {"table_name": payload.table_name, "snapshot_id": snapshot_id}
        tasks.complete(connection, task, result)


def _agreed(payload: Payload, found: Inspected) -> list[dict[str, Any]]:
    """The columns that the caller gave, which are to be those that the object has."""
    given = payload.fields or []
    if found.fields is not None:
        told = [(one.get("name"), one.get("type")) for one in given]
        seen = [(one["name"], one["type"]) for one in found.fields]
        if told != seen:
            raise PermanentError("schema_mismatch", f"its columns are {seen}, not {told}")
        return found.fields
    return given


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

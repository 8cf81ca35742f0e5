"""What an administrator does at the registry's own machine."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from datacachalog.domain.storage_options import StorageOptions
from datacachalog.server.access import ObjectKind, Privilege
from datacachalog.server.database import Database
from datacachalog.server.errors import InvalidProblem, NotFoundProblem
from datacachalog.server.locations import all_locations, create_location
from datacachalog.server.principals import create_grant, create_key, create_principal
from datacachalog.server.schema import namespaces, principals, tables
from datacachalog.server.tables import split_name

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from sqlalchemy import Connection

    from datacachalog.server.settings import ServerSettings


@contextmanager
def _database(settings: ServerSettings) -> Iterator[Connection]:
    database = Database(settings.url())
    try:
        database.migrate()
        with database.writing() as connection:
            yield connection
    finally:
        database.close()


def new_key(settings: ServerSettings, principal: str, name: str, only: Collection[str]) -> str:
    """A new API key of a principal, who is made if there is none of that name."""
    with _database(settings) as connection:
        found = _principal(connection, principal)
        owner = found or create_principal(connection, principal, "service")
        privileges = [Privilege(one) for one in only] or None
        return create_key(connection, owner, name, privileges=privileges)


def grant(settings: ServerSettings, privilege: str, thing: str, principal: str) -> None:
    """Grants a privilege on a thing such as `table:sales`.

    Raises:
        NotFoundProblem: there is no such principal or thing.
        InvalidProblem: it names no thing.
    """
    with _database(settings) as connection:
        if (grantee := _principal(connection, principal)) is None:
            raise NotFoundProblem(f"there is no principal {principal!r}")
        kind, object_id = _thing(connection, thing)
        create_grant(connection, grantee, Privilege(privilege), kind, object_id)


def add_location(settings: ServerSettings, uri: str, options: Mapping[str, Any]) -> None:
    """Registers a storage location.

    Raises:
        InvalidProblem: the URI is none of a bucket or a folder.
    """
    scheme, mark, rest = uri.partition("://")
    bucket, _, prefix = rest.partition("/")
    if not mark or scheme not in {"s3", "file"} or (scheme == "s3") != bool(bucket):
        raise InvalidProblem("a location is s3://bucket/prefix/ or file:///folder/")
    if scheme == "file":
        bucket, prefix = "", f"{Path('/', prefix).resolve()}/"
    elif prefix and not prefix.endswith("/"):
        prefix += "/"  # or `sales` would hold `sales2`, too
    try:
        StorageOptions(**options)
    except ValueError as error:
        raise InvalidProblem(str(error)) from error
    with _database(settings) as connection:
        create_location(connection, scheme, bucket, prefix, options)


def _principal(connection: Connection, name: str) -> str | None:
    return connection.execute(select(principals.c.id).where(principals.c.name == name)).scalar()


def _thing(connection: Connection, text: str) -> tuple[ObjectKind, str]:
    kind, _, name = text.partition(":")
    if kind not in list(ObjectKind):
        told = "a privilege is on catalog, namespace:NAME, table:NAME or location:URI"
        raise InvalidProblem(told)
    match ObjectKind(kind):
        case ObjectKind.CATALOG:
            return ObjectKind.CATALOG, ""
        case ObjectKind.NAMESPACE:
            query = select(namespaces.c.id).where(namespaces.c.name == name)
            found = connection.execute(query).scalar()
        case ObjectKind.TABLE:
            namespace, table = split_name(name)
            query = (
                select(tables.c.id)
                .join(namespaces)
                .where(
                    namespaces.c.name == namespace,
                    tables.c.name == table,
                    tables.c.deleted_at.is_(None),
                )
            )
            found = connection.execute(query).scalar()
        case ObjectKind.LOCATION:
            all_of_them = all_locations(connection)
            found = next((one.id for one in all_of_them if one.root == name), None)
    if found is None:
        raise NotFoundProblem(f"there is no {kind} {name!r}")
    return ObjectKind(kind), found

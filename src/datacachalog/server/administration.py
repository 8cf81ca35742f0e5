"""What whoever runs the registry does at its own machine, straight on its database.

The rules are those of the API, of which the command line may ask everything; each change is in the
audit, too. It is the way in where nobody has a key.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import update

from datacachalog.server.administering import audit, grants, keys, locations, principals, roles
from datacachalog.server.administering.naming import asked
from datacachalog.server.auditing import note
from datacachalog.server.database import Database
from datacachalog.server.errors import NotFoundProblem
from datacachalog.server.identity.egress import refuse_metadata
from datacachalog.server.identity.principals import now
from datacachalog.server.paging import Page
from datacachalog.server.schema import tables
from datacachalog.server.work.evolving import SchemaPolicy

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from datetime import timedelta

    from sqlalchemy import Connection

    from datacachalog.server.settings import ServerSettings
    from datacachalog.server.writing import Answer


_log = logging.getLogger(__name__)


@contextmanager
def _database(settings: ServerSettings) -> Iterator[Connection]:
    if settings.database_url is None and not settings.has_file():
        told = "there was no registry in %s, and a new one is made; --data-dir names another"
        _log.warning(told, settings.data_dir)
    database = Database(settings.url())
    try:
        database.migrate()
        with database.writing() as connection:
            yield connection
    finally:
        database.close()


def _noted(connection: Connection, answer: Answer) -> Any:
    note(connection, None, answer.action, answer.object, None, answer.detail)
    return answer.body


def _changed(settings: ServerSettings, change: Callable[[Connection], Answer]) -> Any:
    with _database(settings) as connection:
        return _noted(connection, change(connection))


def new_key(
    settings: ServerSettings,
    principal: str,
    name: str,
    only: Collection[str],
    lives: timedelta | None,
) -> keys.MadeKey:
    """A new API key of a principal, who is made if there is none of that name."""
    wanted = asked(
        keys.NewKey,
        principal=principal,
        name=name,
        privileges=list(only) or None,
        expires_at=None if lives is None else now() + lives,
    )
    with _database(settings) as connection:
        try:
            principals.known_principal(connection, principal)
        except NotFoundProblem:
            made = asked(principals.NewPrincipal, name=principal)
            _noted(connection, principals.make_principal(connection, None, made))
        found: keys.MadeKey = _noted(connection, keys.make_key(connection, None, wanted))
        return found


def list_keys(settings: ServerSettings, owner: str | None) -> Sequence[keys.Key]:
    """All keys, or those of one principal."""
    with _database(settings) as connection:
        return keys.list_keys(connection, None, owner=owner)


def revoke_key(settings: ServerSettings, key_id: str) -> None:
    """Has a key be valid no more, from now on.

    Raises:
        NotFoundProblem: there is no such key.
        ConflictProblem: it is the last administrator's.
    """
    _changed(settings, lambda it: keys.revoke_key(it, None, key_id))


def list_principals(settings: ServerSettings) -> Sequence[principals.Principal]:
    """All principals."""
    with _database(settings) as connection:
        return principals.list_principals(connection, None)


def disable_principal(settings: ServerSettings, name: str, *, is_disabled: bool) -> None:
    """Has nobody call as a principal any more, or again.

    Raises:
        NotFoundProblem: there is no such principal.
        ConflictProblem: it is the last administrator.
    """
    _changed(
        settings,
        lambda it: principals.disable_principal(it, None, name, is_disabled=is_disabled),
    )


def list_roles(settings: ServerSettings) -> Sequence[roles.RoleWithMembers]:
    """All roles, and who has each."""
    with _database(settings) as connection:
        return [
            roles.RoleWithMembers(
                **role.model_dump(),
                members=[one.member for one in roles.list_members(connection, None, role.name)],
            )
            for role in roles.list_roles(connection, None)
        ]


def make_role(settings: ServerSettings, name: str) -> None:
    """Makes a role, which nobody has.

    Raises:
        ConflictProblem: there is one of that name.
    """
    wanted = asked(roles.NewRole, name=name)
    _changed(settings, lambda it: roles.make_role(it, None, wanted))


def delete_role(settings: ServerSettings, name: str) -> None:
    """Erases a role with all that it was granted.

    Raises:
        NotFoundProblem: there is no such role.
        ConflictProblem: nobody would be left to administer.
    """
    _changed(settings, lambda it: roles.delete_role(it, None, name))


def add_to_role(settings: ServerSettings, role: str, member: str) -> None:
    """Gives a principal, or `role:NAME`, all that a role is granted; it is made if need be.

    Raises:
        NotFoundProblem: there is no such member.
    """
    with _database(settings) as connection:
        roles.grantee(connection, member)
        try:
            roles.known_role(connection, role)
        except NotFoundProblem:
            made = asked(roles.NewRole, name=role)
            _noted(connection, roles.make_role(connection, None, made))
        _noted(connection, roles.add_member(connection, None, role, member))


def remove_from_role(settings: ServerSettings, role: str, member: str) -> None:
    """Takes a role from a principal, or from `role:NAME`.

    Raises:
        NotFoundProblem: there is no such role or member.
        ConflictProblem: nobody would be left to administer.
    """
    _changed(settings, lambda it: roles.remove_member(it, None, role, member))


def grant(settings: ServerSettings, privilege: str, thing: str, to: str) -> None:
    """Grants a privilege on a thing such as `table:sales` to a principal, or to `role:NAME`.

    Raises:
        NotFoundProblem: there is no such principal or thing.
        InvalidProblem: it names no thing.
    """

    def change(connection: Connection) -> Answer:
        grants.thing_of(connection, thing)  # which tells best what things there are
        wanted = asked(grants.NewGrant, privilege=privilege, on=thing, to=to)
        return grants.make_grant(connection, None, wanted)

    _changed(settings, change)


def list_grants(settings: ServerSettings, to: str | None, on: str | None) -> Sequence[grants.Grant]:
    """All grants, or those to somebody or on something."""
    with _database(settings) as connection:
        return grants.list_grants(connection, None, to=to, on=on)


def revoke_grant(settings: ServerSettings, grant_id: str) -> None:
    """Takes a grant back.

    Raises:
        NotFoundProblem: there is no such grant.
        ConflictProblem: nobody would be left to administer.
    """
    _changed(settings, lambda it: grants.revoke_grant(it, None, grant_id))


def set_policy(settings: ServerSettings, table: str, policy: str) -> None:
    """Says which changes of its schema a table allows.

    Raises:
        NotFoundProblem: there is no such table.
    """
    with _database(settings) as connection:
        _, table_id = grants.thing_of(connection, f"table:{table}")
        change = update(tables).where(tables.c.id == table_id)
        if not connection.execute(change.values(schema_policy=SchemaPolicy(policy))).rowcount:
            raise NotFoundProblem(f"there is no table {table!r}")
        note(connection, None, "set-policy", f"table:{table}", None, {"policy": policy})


def list_locations(settings: ServerSettings) -> Sequence[locations.StorageLocation]:
    """All storage locations."""
    with _database(settings) as connection:
        return locations.list_locations(connection, None)


def add_location(settings: ServerSettings, uri: str, options: Mapping[str, Any]) -> None:
    """Registers a storage location.

    Raises:
        InvalidProblem: the URI is none of a bucket or a folder.
    """
    wanted = asked(locations.NewLocation, uri=uri, **options)
    if wanted.endpoint_url is not None and not settings.link_local_endpoints:
        refuse_metadata(wanted.endpoint_url)
    _changed(settings, lambda it: locations.add_location(it, None, uri, wanted.options()))


def remove_location(settings: ServerSettings, location: str) -> None:
    """Has nothing be read any more from a location, by its id or its URI.

    Raises:
        NotFoundProblem: there is none.
    """
    _changed(settings, lambda it: locations.remove_location(it, None, location))


def list_audit(
    settings: ServerSettings,
    limit: int,
    principal: str | None,
    action: str | None,
    thing: str | None,
) -> Sequence[audit.AuditLine]:
    """What was done, the latest first."""
    choice = audit.Choice(principal, action, thing)
    with _database(settings) as connection:
        return audit.list_audit(connection, None, Page(limit), choice)[:limit]

"""Migrations: what they make is what the code believes, and one of many processes makes it."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import insert, select, text, update
from sqlalchemy.exc import IntegrityError

from datacachalog.server.catalog.locations import all_locations
from datacachalog.server.database import Database, _migrations
from datacachalog.server.errors import DatabaseError
from datacachalog.server.identity.principals import first_admin, now
from datacachalog.server.schema import metadata, namespaces
from datacachalog.server.serve import prepared
from datacachalog.testing.payloads import at_once


def test_migrations_make_what_the_code_believes(database):
    with database.reading() as connection:
        found = compare_metadata(MigrationContext.configure(connection), metadata)

    assert [] == found


@pytest.mark.unmigrated
def test_of_many_that_migrate_at_once_one_does(settings):
    def migrate(_):
        one = Database(settings.url())
        one.migrate()
        one.close()

    settings.data_dir.mkdir(exist_ok=True)
    at_once(6, migrate)

    database = Database(settings.url())
    with database.reading() as connection:
        found = connection.execute(text("SELECT version_num FROM alembic_version")).scalars()
        assert [ScriptDirectory.from_config(_migrations()).get_current_head()] == found.all()
    database.close()


def test_a_database_of_a_newer_version_is_refused(database, settings):
    with database.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    ours = Database(settings.url())
    with closing(ours), pytest.raises(DatabaseError, match=r"of a newer version \(9999\)"):
        ours.migrate()


def test_what_is_in_use_as_it_is_closed_is_closed_afterwards(settings):
    database = Database(settings.url())
    with database.reading() as connection:
        ours = connection.connection.dbapi_connection
        database.close()
        assert 1 == connection.execute(text("SELECT 1")).scalar()
    assert ours is not None

    with pytest.raises(Exception, match="closed"):
        ours.cursor()


def test_what_fails_leaves_nothing(database):
    def fail():
        with database.writing() as connection:
            for _ in range(2):
                row = {"id": "ns-1", "name": "one", "created_at": now()}
                connection.execute(insert(namespaces).values(row))

    with pytest.raises(IntegrityError):
        fail()

    with database.reading() as connection:
        assert 0 == connection.execute(text("SELECT count(*) FROM namespaces")).scalar()


def test_writers_wait_for_each_other(database):
    with database.writing() as connection:
        connection.execute(insert(namespaces).values(id="ns-1", name="0", created_at=now()))

    def add(_):
        with database.writing() as connection:
            row = connection.execute(select(namespaces.c.name).with_for_update()).one()
            connection.execute(update(namespaces).values(name=str(int(row.name) + 1)))

    at_once(20, add)

    with database.reading() as connection:
        assert "20" == connection.execute(select(namespaces.c.name)).scalar()


def test_of_many_that_start_at_once_one_makes_the_administrator(settings):
    def start(_):
        with closing(prepared(settings)) as database, database.alone() as connection:
            return first_admin(connection)

    keys = at_once(6, start)

    assert 1 == sum(key is not None for key in keys)
    with closing(Database(settings.url())) as database, database.reading() as connection:
        assert 1 == len(all_locations(connection))


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("nonsense", "is none"),
        ("mysql://h/d", "is none of sqlite and postgresql"),
        ("sqlite://", "must name a file"),
    ],
)
def test_what_is_no_database_is_refused(url, problem):
    with pytest.raises(DatabaseError, match=problem):
        Database(url)


def test_a_password_is_not_told():
    assert "secret" not in str(Database("postgresql://u:secret@localhost/x"))


def test_the_catalog_needs_nothing_of_the_registry():
    told = (
        "import sys, datacachalog; print([m for m in ('fastapi','sqlalchemy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)

    assert "[]\n" == done.stdout

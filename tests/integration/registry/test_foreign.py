"""Registering an object opens no table that its caller may not read."""

from __future__ import annotations

import os

import pytest
from sqlalchemy import delete, select

from datacachalog.server.identity.access import ObjectKind, Privilege
from datacachalog.server.schema import grants, namespaces
from datacachalog.server.work import inspecting
from datacachalog.server.work.registering import Registrar
from datacachalog.server.work.worker import Worker
from tests.integration.registry.world import job_of

REGISTER = "/api/v1/jobs/register-snapshot"


@pytest.fixture
def secret(registry):
    """The URI of the one snapshot of table `secret`."""
    uri = registry.parquet("secret.parquet")
    registry.registered("secret", uri)
    return uri


@pytest.fixture
def writer(registry, secret):
    """One who may register all that is in the location, and do all in a namespace."""
    registry.registered("own.t", registry.parquet("own.parquet"))
    return registry.principal("w", *places(registry), own(registry))


def places(registry):
    return [(Privilege.INSERT, ObjectKind.LOCATION, one) for one in registry.location_ids()]


def own(registry):
    with registry.database.reading() as connection:
        query = select(namespaces.c.id).where(namespaces.c.name == "own")
        return Privilege.MANAGE, ObjectKind.NAMESPACE, connection.execute(query).scalar_one()


def asked_of(table, uri):
    return {"table_name": table, "uri": uri, "format": "parquet"}


def is_refused(client, table, uri):
    answer = client.post(REGISTER, json=asked_of(table, uri))
    return (answer.status_code, answer.json().get("code")) == (403, "location_forbidden")


def test_an_object_of_a_table_that_one_may_not_read_is_refused(registry, secret, writer):
    assert is_refused(writer, "own.mine", secret)
    assert is_refused(writer, "own.t", secret)

    assert 404 == registry.admin.get("/api/v1/tables/own.mine").status_code


def test_an_object_that_was_one_once_is_refused(registry, secret, writer):
    registry.registered("secret", registry.parquet("newer.parquet"))

    assert is_refused(writer, "own.mine", secret)


def test_an_object_of_a_dropped_table_is_refused(registry, secret, writer):
    registry.admin.delete("/api/v1/tables/secret")

    assert is_refused(writer, "own.mine", secret)


def test_other_bytes_in_its_place_are_refused(registry, secret, writer):
    assert secret == registry.parquet("secret.parquet", id=[4])

    assert is_refused(writer, "own.mine", secret)


def test_by_another_name_it_is_refused(registry, secret, writer):
    (registry.objects / "link.parquet").symlink_to(registry.objects / "secret.parquet")
    (registry.objects / "folder").symlink_to(registry.objects)

    for name in ("link.parquet", "folder/secret.parquet"):
        asked = asked_of("own.mine", (registry.objects / name).as_uri())
        assert 403 == writer.post(REGISTER, json=asked).status_code


def test_who_may_read_the_table_may_register_its_objects(registry, secret, writer):
    select_it = (Privilege.SELECT, ObjectKind.TABLE, registry.table_id("secret"))
    reader = registry.principal("r", *places(registry), own(registry), select_it)

    assert "completed" == registry.registered("own.mine", secret, reader)["status"]


def test_what_one_has_registered_oneself_one_may_register_again(registry, secret):
    """As another table, too, and though they may read none; but nothing of others."""
    on_all = (Privilege.INSERT, ObjectKind.CATALOG, "")
    etl = registry.principal("etl", on_all, *places(registry))
    uri = registry.parquet("theirs.parquet")

    assert "completed" == registry.registered("first", uri, etl)["status"]
    assert "completed" == registry.registered("second", uri, etl)["status"]
    assert is_refused(etl, "third", secret)


def test_the_tables_own_object_is_of_no_other_table(registry, secret):
    update_it = (Privilege.UPDATE, ObjectKind.TABLE, registry.table_id("secret"))
    etl = registry.principal("etl", update_it, *places(registry))

    assert "completed" == registry.registered("secret", secret, etl)["status"]


def test_who_may_not_read_it_any_more_registers_nothing(registry, secret, writer, database, worker):
    select_it = (Privilege.SELECT, ObjectKind.TABLE, registry.table_id("secret"))
    reader = registry.principal("r", *places(registry), own(registry), select_it)
    worker.stop()
    job = reader.post(REGISTER, json=asked_of("own.mine", secret)).json()["job_id"]
    with database.writing() as connection:
        connection.execute(delete(grants).where(grants.c.privilege == Privilege.SELECT))

    late = Worker(database, Registrar(database, os.environ))
    late.start()
    try:
        ended = job_of(database, job)
    finally:
        late.stop()

    assert ("failed", "location_forbidden") == (ended["status"], ended["error_code"])


def test_what_becomes_another_tables_until_the_commit_is_refused(
    registry, secret, writer, monkeypatch
):
    """It was nobody's when the worker looked at it."""
    uri = registry.parquet("new.parquet")
    looked = []

    def inspect(*args):
        looked.append(args)
        if len(looked) == 1:  # the other worker thread does this one meanwhile
            assert "completed" == registry.registered("secret", uri)["status"]
        return inspecting.inspect(*args)

    monkeypatch.setattr("datacachalog.server.work.registering.inspect", inspect)

    job = registry.job(asked_of("own.mine", uri), client=writer)

    assert ("failed", "location_forbidden") == (job["status"], job["error_code"])

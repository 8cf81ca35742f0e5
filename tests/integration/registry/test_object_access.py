"""Every route against every kind of caller, from the OpenAPI document: nobody gets what is not his.

OWASP API1 (object level), API2 (credentials) and API5 (function level). `expected.py` says what
each caller is to be answered.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select, update
from starlette.testclient import TestClient

from datacachalog.server.identity.access import ObjectKind, Privilege
from datacachalog.server.identity.principals import create_grant, create_key, create_principal, now
from datacachalog.server.schema import api_keys, metadata
from tests.integration.registry.brief import BriefFeed
from tests.integration.registry.expected import LINES, OPEN, UNDESCRIBED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datacachalog.server.work.worker import Worker
    from tests.integration.registry.expected import Line
    from tests.integration.registry.world import Registry

CALLERS = ("stranger", "neighbour", "reader", "writer", "viewer")


@dataclass
class World:
    """A table that is a secret, all that belongs to it, and who asks for it."""

    registry: Registry
    values: dict[str, str]
    callers: dict[str, TestClient]

    def asked(self, key: str, line: Line, client: TestClient, *header: bytes, **other: str) -> Any:
        """What a caller is answered, for what is there or for other things."""
        values = self.values | other
        method, _, path = key.partition("#")[0].partition(" ")
        for one in line.at:
            path = path.replace("{}", values[one], 1)
        if line.query:
            path = f"{path}?{line.query.format(**values)}"
        headers = [(name.encode(), value.encode()) for name, value in line.headers.items()]
        headers += [(b"authorization", one) for one in header]
        body = None if line.body is None else filled(line.body, values)
        return client.request(method, path, json=body, headers=headers)

    def rows(self) -> dict[str, list[Any]]:
        """All that the database holds."""
        with self.registry.database.reading() as connection:
            return {
                table.name: sorted(map(repr, connection.execute(select(table)).all()))
                for table in metadata.sorted_tables
            }

    @property
    def secrets(self) -> set[str]:
        known = {"decoy", "objects"}  # to who may use them
        return {*self.values.values(), "secret", "vault", "admin"} - known


def filled(body: Any, values: dict[str, str]) -> Any:
    """A body with the values of a world."""
    match body:
        case dict():
            return {name: filled(value, values) for name, value in body.items()}
        case list():
            return [filled(value, values) for value in body]
        case str() if body.startswith("$"):
            return values[body[1:]]
        case _:
            return body


@pytest.fixture
def world(registry: Registry, worker: Worker) -> World:
    registry.app.state.feed = BriefFeed(registry.database)
    registry.registered("decoy", registry.parquet("decoy.parquet"))
    uri = registry.parquet("secret_file.parquet", secret_column=[1])
    job = registry.registered("vault.secret_table", uri)
    assert "completed" == job["status"], job
    table = registry.table_id("secret_table")
    of_decoy = [(one, ObjectKind.TABLE, registry.table_id("decoy")) for one in Privilege]
    everything = (ObjectKind.CATALOG, "")
    worker.stop()  # so that there is a task that waits
    values = {
        "table": "vault.secret_table",
        "thing": "table:vault.secret_table",
        "table_id": table,
        "job": job["job_id"],
        "snapshot": job["result"]["snapshot_id"],
        "uri": uri,
        **belongings(registry.admin, job["result"], uri),
    }
    callers = {
        "stranger": registry.principal("stranger"),
        "neighbour": registry.principal("neighbour", *of_decoy[:3]),
        "reader": registry.principal("reader", (Privilege.SELECT, ObjectKind.TABLE, table)),
        "writer": registry.principal(
            "writer", (Privilege.INSERT, *everything), (Privilege.UPDATE, *everything)
        ),
        "viewer": registry.principal("viewer", (Privilege.SELECT, *everything)),
        "admin": registry.admin,
    }
    return World(registry, values, callers)


def belongings(admin: TestClient, registered: dict[str, str], uri: str) -> dict[str, str]:
    """What else the administrator has made: by its name, or by the id that it was given."""

    def made(path: str, body: dict[str, Any], name: str, method: str = "POST") -> str:
        answer = admin.request(method, f"/api/v1/{path}", json=body)
        assert answer.is_success, answer.text
        return str(answer.json()[name])

    table = registered["table_name"]
    person = made("principals", {"name": "secret_person"}, "name")
    role = made("roles", {"name": "secret_role"}, "name")
    made(f"roles/{role}/members", {"member": person}, "member")
    made("datasets/objects/secret/object.bin", {"some": "bytes"}, "uri", "PUT")
    reads = [{"table_name": table}]
    tag = {"snapshot_id": registered["snapshot_id"]}
    asked = {"table_name": table, "uri": uri, "format": "parquet"}
    grant = {"privilege": "SELECT", "on": f"table:{table}", "to": person}
    return {
        "decoy": "decoy",
        "bucket": "objects",
        "object": "secret/object.bin",
        "person": person,
        "role": role,
        "job_name": "secret_job",
        "run": made("jobs/secret_job/runs", {"inputs": reads}, "run_id"),
        "waiting": made("jobs/register-snapshot", asked, "job_id"),
        "tag": made(f"tables/{table}/tags/secret-tag", tag, "name", "PUT"),
        "grant": made("grants", grant, "id"),
        "a_key": made("api-keys", {"principal": person}, "id"),
        "location": made("locations", {"uri": "s3://secret-bucket/"}, "id"),
    }


def routes(registry: Registry) -> Iterator[tuple[str, str]]:
    """Method and path of each, and the key of its line."""
    for path, item in registry.app.openapi()["paths"].items():
        for method in item:
            yield f"{method.upper()} {path}", f"{method.upper()} {re.sub(r'{[^}]*}', '{}', path)}"


def lines(registry: Registry) -> Iterator[tuple[str, Line]]:
    known = {key for _, key in routes(registry)} | UNDESCRIBED
    for key, line in LINES.items():
        assert key.partition("#")[0] in known, f"there is no {key}"
        yield key, line


def test_every_route_is_known_here(registry):
    assert [] == [told for told, key in routes(registry) if key not in LINES]
    assert len(LINES) == len(list(lines(registry)))


def test_nothing_else_is_open(registry):
    """What is not in the document is known by name, too."""
    described = registry.app.openapi()["paths"]
    found = {getattr(one, "path", None) for one in registry.app.routes}

    other = {one.partition(" ")[2] for one in UNDESCRIBED}
    assert {path for path in found if path and path not in described} == OPEN | other


def test_callers_are_answered_what_they_may_have(world):
    """And what is refused has changed nothing."""
    before = world.rows()
    wrong: list[tuple[object, ...]] = []
    asked = [(*one, caller) for one in lines(world.registry) for caller in CALLERS]
    for key, line, caller in sorted(asked, key=lambda one: one[1].status(one[2]) < 400):
        answer = world.asked(key, line, world.callers[caller])
        if answer.status_code != line.status(caller):
            wrong.append((key, caller, answer.status_code, answer.text[:200]))
        if answer.status_code >= 400 or caller in {"stranger", "neighbour"}:
            wrong += [(key, caller, one) for one in leaks(world, answer)]
        if answer.status_code >= 400 and before != world.rows():
            wrong.append((key, caller, "something is changed"))

    assert [] == wrong


def leaks(world: World, answer: Any) -> list[str]:
    """Secrets in an answer that were not in its request."""
    request = answer.request
    asked = f"{request.method} {request.url} {request.content.decode()}"
    told = re.sub("administrat(ors|ion)", "", f"{answer.text} {dict(answer.headers)}")
    return [one for one in world.secrets if one in told and one not in asked]


def test_what_is_there_is_refused_as_what_is_not(world):
    """Whether there is such a thing cannot be told from the answer."""
    given = world.values
    other = given | {one: other_than(given[one]) for one in given if one not in {"decoy", "bucket"}}
    for key, line in lines(world.registry):
        for caller in ("stranger", "neighbour", "writer"):
            if line.at and line.status(caller) >= 400:
                there = told(world.asked(key, line, world.callers[caller]), given)
                absent = told(world.asked(key, line, world.callers[caller], **other), other)

                assert there == absent, key


def other_than(value: str) -> str:
    """Something of the same form that is not there."""
    return value[:-6] + "".join("0" if one != "0" else "1" for one in value[-6:])


def told(answer: Any, values: dict[str, str]) -> tuple[int, str]:
    """An answer without what the request was about, and without its id."""
    text = answer.text.replace(answer.headers["x-request-id"], "")
    for value in values.values():
        text = text.replace(value, "")
    return answer.status_code, text


def test_the_administrator_may_do_all_of_it(world):
    """Or else the refusals would say nothing."""
    for key, line in lines(world.registry):
        answer = world.asked(key, line, world.registry.admin)

        assert line.admin == answer.status_code, (key, answer.text)


@pytest.fixture
def invalid(registry: Registry) -> dict[str, bytes]:
    """Headers that authenticate nobody."""
    with registry.database.writing() as connection:
        owner = create_principal(connection, "gone", "user")
        create_grant(connection, owner, Privilege.MANAGE, ObjectKind.CATALOG)
        expired, revoked = (
            create_key(connection, owner, "expired", expires_at=now()),
            create_key(connection, owner, "revoked"),
        )
        of_it = update(api_keys).where(api_keys.c.name == "revoked")
        connection.execute(of_it.values(revoked_at=now()))
    right = registry.admin.headers["authorization"].encode()
    return {
        "expired": f"Bearer {expired}".encode(),
        "revoked": f"Bearer {revoked}".encode(),
        "none": b"",
        "another scheme": right.replace(b"Bearer", b"Basic"),
        "truncated": right[:-1],
        "another secret": right[:-4] + right[-4:].swapcase()[::-1],
        "not ASCII": right + b"\xff",
        "twice in one": right + b", " + right,
    }


def test_without_a_valid_key_there_is_nothing(world, invalid):
    before, anyone = world.rows(), TestClient(world.registry.app)
    for key, line in lines(world.registry):
        answers = set()
        for name, header in invalid.items():
            answer = world.asked(key, line, anyone, *[header] * bool(header))

            assert 401 == answer.status_code, (key, name, answer.text)
            assert "Bearer" == answer.headers["www-authenticate"]
            assert [] == leaks(world, answer)
            told = answer.json() if answer.content else {}  # HEAD has none
            answers.add(json.dumps(told | {"request_id": "", "detail": ""}))
        assert 1 == len(answers)

    assert before == world.rows()


def test_two_keys_are_none(world):
    right = world.registry.admin.headers["authorization"].encode()
    for key, line in lines(world.registry):
        answer = world.asked(key, line, TestClient(world.registry.app), right, right)

        assert 401 == answer.status_code, key


@pytest.mark.parametrize("privilege", [one for one in Privilege if one is not Privilege.MANAGE])
def test_a_key_may_do_no_more_than_it_is_for(world, privilege):
    """Though its principal is the administrator."""
    with world.registry.database.writing() as connection:
        owner = create_principal(connection, "owner", "user")
        create_grant(connection, owner, Privilege.MANAGE, ObjectKind.CATALOG)
        client = world.registry.client(create_key(connection, owner, "k", privileges=[privilege]))
    for key, line in lines(world.registry):
        if line.status("viewer" if privilege is Privilege.SELECT else "writer") >= 400:
            assert world.asked(key, line, client).status_code in {403, 404}, key

"""Who sees what: nobody learns of tables that they may not SELECT."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import delete, insert, select, update

from datacachalog.server.identity.access import ObjectKind, Privilege
from datacachalog.server.identity.principals import create_grant, create_key, create_principal, now
from datacachalog.server.schema import (
    api_keys,
    audit,
    grants,
    namespaces,
    principals,
    role_members,
    roles,
)

TABLES = "/api/v1/tables"
LATEST = "/api/v1/tables/{}/snapshots/latest"
REGISTER = "/api/v1/jobs/register-snapshot"
ON_ALL = ObjectKind.CATALOG, ""


@pytest.fixture
def two(registry):
    """Tables `a` and `b`."""
    for name in ("a", "b"):
        registry.registered(name, registry.parquet(f"{name}.parquet"))
    return registry


@pytest.fixture
def asked(two):
    return {"table_name": "a", "uri": two.parquet("n.parquet"), "format": "parquet"}


def names(client):
    return [one["name"] for one in client.get(TABLES).json()]


def test_a_grant_on_a_table_is_for_that_one(two):
    reader = two.principal("r", (Privilege.SELECT, ObjectKind.TABLE, two.table_id("a")))

    assert ["a"] == names(reader)
    assert 200 == reader.get(LATEST.format("a")).status_code
    assert 403 == reader.get(LATEST.format("b")).status_code


def test_whether_a_table_is_there_is_not_told(two):
    reader = two.principal("r", (Privilege.SELECT, ObjectKind.TABLE, two.table_id("a")))

    told = {name: reader.get(LATEST.format(name)) for name in ("b", "c")}

    assert {403} == {one.status_code for one in told.values()}
    details = {one.json()["detail"].replace(repr(name), "") for name, one in told.items()}
    assert 1 == len(details)
    assert 404 == two.admin.get(LATEST.format("c")).status_code


@pytest.mark.parametrize("privilege", [Privilege.INSERT, Privilege.UPDATE])
def test_who_may_write_may_not_read_for_that(two, privilege):
    writer = two.principal("w", (privilege, *ON_ALL))

    assert ([], 403) == (names(writer), writer.get(LATEST.format("a")).status_code)


@pytest.mark.parametrize(
    ("privilege", "table", "status"),
    [
        (Privilege.INSERT, "new", 202),
        (Privilege.INSERT, "a", 403),
        (Privilege.UPDATE, "a", 202),
        (Privilege.UPDATE, "new", 403),
        (Privilege.SELECT, "a", 403),
        (Privilege.MANAGE, "a", 202),
    ],
)
def test_new_tables_are_inserted_and_others_updated(two, asked, privilege, table, status):
    places = [(Privilege.INSERT, ObjectKind.LOCATION, one) for one in two.location_ids()]
    writer = two.principal("w", (privilege, *ON_ALL), *places)

    assert status == writer.post(REGISTER, json={**asked, "table_name": table}).status_code


def test_without_the_location_nothing_of_it_is_registered(two, asked):
    writer = two.principal("w", (Privilege.UPDATE, ObjectKind.TABLE, two.table_id("a")))

    answer = writer.post(REGISTER, json=asked)

    assert (403, "forbidden") == (answer.status_code, answer.json()["code"])


def test_a_role_gives_what_it_was_granted_also_by_way_of_another(two):
    members = [
        ("readers", "role", "staff"),
        ("staff", "role", "readers"),  # a circle must end, too
        ("staff", "principal", "ann"),
    ]
    with two.database.writing() as connection:
        connection.execute(
            insert(principals).values(id="ann", name="ann", kind="user", created_at=now())
        )
        for name in ("readers", "staff"):
            connection.execute(insert(roles).values(id=name, name=name, created_at=now()))
        for role, kind, member in members:
            row = {"role_id": role, "member_kind": kind, "member_id": member, "created_at": now()}
            connection.execute(insert(role_members).values(row))
        key = create_key(connection, "ann", "test")
        create_grant(connection, "readers", Privilege.SELECT, ObjectKind.TABLE, two.table_id("b"))
        connection.execute(
            update(grants).where(grants.c.grantee_id == "readers").values(grantee_kind="role")
        )

    assert ["b"] == names(two.client(key))


def test_a_grant_on_a_namespace_is_for_its_tables(two):
    two.registered("team.c", two.parquet("c.parquet"))
    with two.database.reading() as connection:
        query = select(namespaces.c.id).where(namespaces.c.name == "team")
        team = connection.execute(query).scalar_one()

    assert ["team.c"] == names(two.principal("r", (Privilege.SELECT, ObjectKind.NAMESPACE, team)))


def test_a_grant_that_is_taken_back_is_gone_at_once(two):
    reader = two.principal("r", (Privilege.SELECT, *ON_ALL))
    assert ["a", "b"] == names(reader)

    with two.database.writing() as connection:
        connection.execute(delete(grants).where(grants.c.privilege == Privilege.SELECT))

    assert [] == names(reader)


class TestKeys:
    @pytest.fixture
    def made(self, two):
        """Makes a key of one who may do everything."""

        def make(**options):
            with two.database.writing() as connection:
                owner = create_principal(connection, "owner", "user")
                create_grant(connection, owner, Privilege.MANAGE, *ON_ALL)
                return create_key(connection, owner, "test", **options)

        return make

    def test_one_for_reading_reads(self, two, made, asked):
        client = two.client(made(privileges=[Privilege.SELECT]))

        assert ["a", "b"] == names(client)
        assert 403 == client.post(REGISTER, json=asked).status_code

    def test_one_lives_until_it_expires(self, two, made):
        client = two.client(made(expires_at=now() + timedelta(hours=1)))

        assert 200 == client.get(TABLES).status_code

    @pytest.mark.parametrize("column", ["revoked_at", "expires_at"])
    def test_one_that_was_revoked_or_has_expired_is_none(self, two, made, column):
        client = two.client(made())
        with two.database.writing() as connection:
            connection.execute(update(api_keys).values({column: now()}))

        answer = client.get(TABLES)

        assert (401, "unauthenticated") == (answer.status_code, answer.json()["code"])
        assert "Bearer" == answer.headers["www-authenticate"]

    def test_what_is_none_is_refused(self, two, made):
        key = made()
        for wrong in (
            key[:-1] + ("a" if key[-1] != "a" else "b"),
            key[:-1],
            key + "a",
            key.upper(),
            "dlk_aaaaaaaaaaaa_" + "a" * 43,
            "dlk__",
            "nonsense",
            "dlk_" + "a" * 1_000,
        ):
            answer = two.client(wrong).get(TABLES)

            assert (401, "unauthenticated") == (answer.status_code, answer.json()["code"]), wrong

    def test_without_a_key_nothing_is_told(self, two):
        for header in ("", "Bearer", "Basic YTpi", "Bearer  "):
            answer = two.admin.get(TABLES, headers={"Authorization": header})

            assert 401 == answer.status_code, header

    def test_only_a_digest_of_a_key_is_kept(self, two, made):
        secret = made().split("_", 2)[2]  # it may have that character, too
        with two.database.reading() as connection:
            rows = connection.execute(select(api_keys)).all()

        assert rows
        assert secret not in repr(rows)


def test_a_job_is_told_to_who_asked_for_it(two):
    other = two.principal("o", (Privilege.SELECT, *ON_ALL))
    job = two.registered("a", two.parquet("a2.parquet"))

    assert 404 == other.get(f"/api/v1/jobs/{job['job_id']}").status_code
    assert 200 == two.admin.get(f"/api/v1/jobs/{job['job_id']}").status_code


def test_who_has_lost_a_privilege_meanwhile_has_it_no_more(asked_later):
    job = asked_later(lambda connection: connection.execute(delete(grants)))

    assert ("failed", "forbidden") == (job["status"], job["error_code"])


def test_a_key_that_is_revoked_meanwhile_registers_nothing(asked_later):
    job = asked_later(
        lambda connection: connection.execute(update(api_keys).values(revoked_at=now()))
    )

    assert ("failed", "forbidden") == (job["status"], job["error_code"])


def test_what_was_done_is_in_the_audit(two):
    with two.database.reading() as connection:
        rows = connection.execute(select(audit)).all()

    assert ["register-snapshot"] * 2 == [one.action for one in rows]
    assert ["table:a", "table:b"] == sorted(one.object for one in rows)


HOSTILE = [
    "file:///etc/passwd",
    "file://{objects}/../secret.parquet",
    "file://{objects}/%2e%2e/secret.parquet",
    "file://{objects}/link.parquet",
    "file://{objects}/folder/secret.parquet",
    "file://{objects}/.datlake-uploads/up-1",
    "file://{objects}/.Datlake-Uploads/up-1",
    "s3://bucket/key?endpoint_override=127.0.0.1:1",
    "s3://user:password@bucket/key",
    "s3://169.254.169.254:80/latest",
    "http://169.254.169.254/latest/meta-data",
    "s3://bucket/a/*.parquet",
    "s3://bucket/a//b",
    "s3://bucket/",
    "/etc/passwd",
    "simplecache::s3://bucket/key",
    "file://host/x",
    "s3://bucket/" + "a" * 2_000,
    "s3://bucket/a\0b",
]


def test_a_hostile_uri_is_refused(two, asked, tmp_path):
    (tmp_path / "secret.parquet").write_bytes((two.objects / "a.parquet").read_bytes())
    (two.objects / "link.parquet").symlink_to(tmp_path / "secret.parquet")
    (two.objects / "folder").symlink_to(tmp_path)
    for uri in HOSTILE:
        here = uri.replace("{objects}", str(two.objects))
        answer = two.admin.post(REGISTER, json={**asked, "uri": here})

        assert answer.status_code in {403, 422}, (uri, answer.text)


def test_what_is_not_asked_for_is_refused(two, asked):
    for more in (
        {"created_by": "x"},
        {"run_id": "../x"},
        {"seq": 5},
        {"table_name": 5},
        {"uri": None},
        {"format": ["a"]},
    ):
        answer = two.admin.post(REGISTER, json=asked | more)

        assert (422, "invalid") == (answer.status_code, answer.json()["code"]), more


def test_a_body_that_is_too_large_is_refused(two, asked):
    answer = two.admin.post(REGISTER, json={**asked, "format": "a" * 2_000_000})

    assert (413, "too-large") == (answer.status_code, answer.json()["code"])


def test_pages_follow_each_other(two):
    for name in ("c", "d", "e"):
        two.registered(f"z.{name}", two.parquet(f"{name}.parquet"))

    found, address = [], f"{TABLES}?limit=2"
    while address:
        answer = two.admin.get(address)
        assert len(answer.json()) <= 2
        found += [one["name"] for one in answer.json()]
        address = answer.links.get("next", {}).get("url")

    assert ["a", "b", "z.c", "z.d", "z.e"] == found
    assert 422 == two.admin.get(f"{TABLES}?cursor=%FF").status_code
    assert 422 == two.admin.get(f"{TABLES}?limit=1001").status_code


def test_what_is_known_is_not_sent_again(two):
    first = two.admin.get(LATEST.format("a"))
    headers = {"If-None-Match": first.headers["etag"]}

    assert 304 == two.admin.get(LATEST.format("a"), headers=headers).status_code
    two.registered("a", two.parquet("a2.parquet"))
    assert 200 == two.admin.get(LATEST.format("a"), headers=headers).status_code


def test_every_answer_has_its_request_named(two):
    given = two.admin.get(TABLES, headers={"X-Request-Id": "mine-1"})
    refused = two.admin.get("/api/v1/nothing", headers={"X-Request-Id": "bad id"})

    assert "mine-1" == given.headers["x-request-id"]
    assert refused.headers["x-request-id"] == refused.json()["request_id"] != "bad id"
    assert "application/problem+json" == refused.headers["content-type"]


def test_who_has_the_wrong_address_is_told(two):
    told = two.admin.get("/api/v1/api/v1/tables").json()
    assert ("not-found", "Not Found") == (told["code"], told["title"])
    nowhere = "there is nothing at '/api/v1/api/v1/tables'"
    assert f"{nowhere}; the API is below '/api/v1/'" == told["detail"]

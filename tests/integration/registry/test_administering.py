"""Keys, principals, roles, grants, locations and the audit, by the API."""

from __future__ import annotations

import json
from datetime import timedelta
from itertools import pairwise

import pytest
from sqlalchemy import select

from datacachalog.server.identity.access import ObjectKind, Privilege
from datacachalog.server.identity.principals import create_key, now
from datacachalog.server.schema import audit, idempotency, principals
from datacachalog.testing.payloads import at_once

API = "/api/v1"
ON_ALL = ObjectKind.CATALOG, ""
EVERYTHING = (Privilege.MANAGE, *ON_ALL)


def told(answer, status=200):
    assert status == answer.status_code, answer.text
    if status >= 400:
        assert "application/problem+json" == answer.headers["content-type"]
        return answer.json()["code"]
    return answer.json()


def key_for(registry, name, **options):
    """A client with another key of a principal."""
    with registry.database.writing() as connection:
        query = select(principals.c.id).where(principals.c.name == name)
        owner = connection.execute(query).scalar_one()
        return registry.client(create_key(connection, owner, "more", **options))


class TestWhoAmI:
    def test_it_tells_who_calls_and_with_what(self, registry):
        reader = registry.principal("r", (Privilege.SELECT, *ON_ALL))
        told(registry.admin.post(f"{API}/roles", json={"name": "staff"}), 201)
        registry.admin.post(f"{API}/roles/staff/members", json={"member": "r"})

        found = told(reader.get(f"{API}/whoami"))

        assert ("r", None, ["staff"]) == (
            found["principal"],
            found["key_privileges"],
            found["roles"],
        )
        assert ["SELECT"] == found["privileges"]
        assert 12 == len(found["key_id"])

    def test_what_the_key_does_not_allow_is_not_there(self, registry):
        limited = key_for(registry, "admin", privileges=[Privilege.SELECT])

        found = told(limited.get(f"{API}/whoami"))

        assert (["SELECT"], ["SELECT"]) == (found["key_privileges"], found["privileges"])


class TestKeys:
    def test_one_makes_a_key_of_ones_own_and_revokes_it(self, registry):
        etl = registry.principal("etl")

        made = told(etl.post(f"{API}/api-keys", json={"name": "nightly"}), 201)

        client = registry.client(made["key"])
        assert "etl" == told(client.get(f"{API}/whoami"))["principal"]
        assert {"test", "nightly"} == {one["name"] for one in told(etl.get(f"{API}/api-keys"))}
        assert None is not told(etl.delete(f"{API}/api-keys/{made['id']}"))["revoked_at"]
        assert "unauthenticated" == told(client.get(f"{API}/whoami"), 401)

    def test_revoking_again_changes_nothing(self, registry):
        etl = registry.principal("etl")
        made = told(etl.post(f"{API}/api-keys", json={}), 201)

        answers = [told(etl.delete(f"{API}/api-keys/{made['id']}")) for _ in range(2)]

        assert answers[0] == answers[1]

    def test_others_keys_are_neither_seen_nor_made_nor_revoked(self, registry):
        etl, other = registry.principal("etl"), registry.principal("other")
        made = told(etl.post(f"{API}/api-keys", json={}), 201)

        assert "forbidden" == told(other.post(f"{API}/api-keys", json={"principal": "etl"}), 403)
        refused = [other.delete(f"{API}/api-keys/{one}") for one in (made["id"], "none00000000")]
        assert ["forbidden"] * 2 == [told(one, 403) for one in refused]
        assert {"other"} == {one["principal"] for one in told(other.get(f"{API}/api-keys"))}
        assert [] == told(other.get(f"{API}/api-keys", params={"principal": "etl"}))
        found = told(registry.admin.get(f"{API}/api-keys", params={"principal": "etl"}))
        assert {"etl"} == {one["principal"] for one in found}
        assert "not-found" == told(registry.admin.delete(f"{API}/api-keys/none00000000"), 404)

    @pytest.mark.parametrize(
        ("only", "status"),
        [
            (["SELECT"], 201),
            (["SELECT", "INSERT"], 201),
            (["SELECT", "UPDATE"], 403),
            (["MANAGE"], 403),
            (None, 403),
        ],
    )
    def test_a_limited_key_makes_no_broader_one(self, registry, only, status):
        may = [Privilege.SELECT, Privilege.INSERT]
        limited = key_for(registry, "admin", privileges=may)

        answer = limited.post(f"{API}/api-keys", json={"privileges": only})

        assert status == answer.status_code

    def test_a_limited_key_revokes_itself_and_no_broader_one(self, registry):
        limited = key_for(registry, "admin", privileges=[Privilege.SELECT])
        broader = told(registry.admin.get(f"{API}/whoami"))["key_id"]

        assert "forbidden" == told(limited.delete(f"{API}/api-keys/{broader}"), 403)
        own = told(limited.get(f"{API}/whoami"))["key_id"]
        assert own == told(limited.delete(f"{API}/api-keys/{own}"))["id"]

    @pytest.mark.parametrize("until", [None, timedelta(days=2)])
    def test_a_key_that_ends_makes_none_that_lives_longer(self, registry, until):
        registry.principal("etl")
        short = key_for(registry, "etl", expires_at=now() + timedelta(days=1))
        ends = None if until is None else (now() + until).isoformat()

        assert "forbidden" == told(short.post(f"{API}/api-keys", json={"expires_at": ends}), 403)
        sooner = (now() + timedelta(hours=1)).isoformat()
        told(short.post(f"{API}/api-keys", json={"expires_at": sooner}), 201)

    def test_a_repeated_request_makes_one_key_and_does_not_show_it_again(self, registry):
        header = {"Idempotency-Key": "once"}

        first, second = (
            told(registry.admin.post(f"{API}/api-keys", json={}, headers=header), 201)
            for _ in range(2)
        )

        assert (first["id"], None) == (second["id"], second["key"])
        with registry.database.reading() as connection:
            kept = repr(connection.execute(select(idempotency)).all())
            lines = repr(connection.execute(select(audit)).all())
        assert first["id"] in kept
        assert first["key"].split("_", 2)[2] not in kept + lines

    @pytest.mark.parametrize(
        "body",
        [
            {"secret_sha256": "0" * 64},
            {"id": "aaaaaaaaaaaa"},
            {"revoked_at": None},
            {"privileges": []},
            {"privileges": ["ROOT"]},
            {"expires_at": "2030-01-01T00:00:00"},
            {"expires_at": 1.5},
            {"expires_at": "1893456000"},
            {"expires_at": "9999-12-31T23:59:59-12:00"},
            {"expires_at": "0001-01-01T00:00:00+23:59"},  # before the first year, in UTC
            {"name": "two\nlines"},
            {"name": "x" * 201},
            {"principal": "a\u0000b"},
            {"principal": "\ud800"},
        ],
    )
    def test_what_a_key_cannot_be_is_refused(self, registry, body):
        answer = registry.admin.post(
            f"{API}/api-keys",
            content=json.dumps(body),  # which spells out what is no text
            headers={"Content-Type": "application/json"},
        )

        assert "invalid" == told(answer, 422)

    def test_a_key_in_the_address_is_none(self, registry):
        key = registry.admin.headers.pop("authorization").split()[1]

        for name in ("key", "api_key", "access_token", "authorization"):
            answer = registry.admin.get(f"{API}/whoami", params={name: key})

            assert "unauthenticated" == told(answer, 401)


class TestPrincipals:
    def test_one_is_made_once(self, registry):
        told(registry.admin.post(f"{API}/principals", json={"name": "ann", "kind": "user"}), 201)

        assert "conflict" == told(
            registry.admin.post(f"{API}/principals", json={"name": "ann"}), 409
        )
        names = [one["name"] for one in told(registry.admin.get(f"{API}/principals"))]
        assert ["admin", "ann"] == names

    def test_of_many_that_make_the_same_one_does(self, registry):
        clients = [key_for(registry, "admin") for _ in range(4)]

        answers = at_once(
            4, lambda n: clients[n].post(f"{API}/principals", json={"name": "ann"}).status_code
        )

        assert [201, 409, 409, 409] == sorted(answers)

    def test_one_that_is_disabled_calls_no_more_until_enabled(self, registry):
        etl = registry.principal("etl")

        told(registry.admin.post(f"{API}/principals/etl/disable"))

        assert "unauthenticated" == told(etl.get(f"{API}/whoami"), 401)
        assert None is told(registry.admin.post(f"{API}/principals/etl/enable"))["disabled_at"]
        assert "etl" == told(etl.get(f"{API}/whoami"))["principal"]

    def test_one_that_has_done_nothing_is_erased(self, registry):
        etl = registry.principal("etl", (Privilege.SELECT, *ON_ALL))

        assert told(registry.admin.delete(f"{API}/principals/etl"))["is_erased"]

        assert "unauthenticated" == told(etl.get(f"{API}/whoami"), 401)
        assert "not-found" == told(registry.admin.delete(f"{API}/principals/etl"), 404)
        assert ["admin"] == [one["to"] for one in told(registry.admin.get(f"{API}/grants"))]

    def test_one_that_the_audit_tells_of_is_disabled(self, registry):
        etl = registry.principal("etl")
        told(etl.post(f"{API}/api-keys", json={}), 201)

        found = told(registry.admin.delete(f"{API}/principals/etl"))

        assert not found["is_erased"]
        assert found["disabled_at"]
        assert "unauthenticated" == told(etl.get(f"{API}/whoami"), 401)
        done = told(registry.admin.get(f"{API}/audit", params={"principal": "etl"}))
        assert ["make-key"] == [one["action"] for one in done]

    def test_whose_task_there_is_is_disabled(self, registry):
        etl = registry.principal("etl", (Privilege.INSERT, *ON_ALL))
        registry.registered("t", registry.parquet("t.parquet"), etl)

        assert not told(registry.admin.delete(f"{API}/principals/etl"))["is_erased"]

    def test_a_task_of_one_that_was_disabled_meanwhile_fails(self, asked_later):
        job = asked_later(
            lambda connection: connection.execute(principals.update().values(disabled_at=now()))
        )

        assert ("failed", "forbidden") == (job["status"], job["error_code"])


class TestRoles:
    def test_a_role_in_a_role_gives_what_that_was_granted(self, registry):
        ann = registry.principal("ann")
        registry.registered("t", registry.parquet("t.parquet"))
        for name in ("staff", "readers"):
            told(registry.admin.post(f"{API}/roles", json={"name": name}), 201)
        members = f"{API}/roles/{{}}/members"
        told(registry.admin.post(members.format("readers"), json={"member": "role:staff"}), 201)
        told(registry.admin.post(members.format("staff"), json={"member": "ann"}), 201)
        told(registry.admin.post(members.format("staff"), json={"member": "ann"}))
        asked = {"privilege": "SELECT", "on": "table:t", "to": "role:readers"}
        told(registry.admin.post(f"{API}/grants", json=asked), 201)

        assert ["t"] == [one["name"] for one in told(ann.get(f"{API}/tables"))]
        assert [{"member": "role:staff"}] == told(registry.admin.get(members.format("readers")))
        assert ["readers", "staff"] == told(ann.get(f"{API}/whoami"))["roles"]
        assert ["table:t"] == [one["on"] for one in told(ann.get(f"{API}/grants"))]
        told(registry.admin.delete(members.format("readers") + "/role:staff"))
        assert [] == told(ann.get(f"{API}/tables"))
        assert "not-found" == told(registry.admin.delete(members.format("staff") + "/bob"), 404)

    def test_one_that_is_deleted_gives_nothing_nor_another_of_its_name(self, registry):
        ann = registry.principal("ann")
        for _ in range(2):
            told(registry.admin.post(f"{API}/roles", json={"name": "all"}), 201)
            told(registry.admin.post(f"{API}/roles/all/members", json={"member": "ann"}), 201)
            asked = {"privilege": "SELECT", "on": "catalog", "to": "role:all"}
            told(registry.admin.post(f"{API}/grants", json=asked), 201)
            assert ["SELECT"] == told(ann.get(f"{API}/whoami"))["privileges"]

            told(registry.admin.delete(f"{API}/roles/all"))

            assert [] == told(ann.get(f"{API}/whoami"))["privileges"]

    def test_what_is_not_there_is_told(self, registry):
        told(registry.admin.post(f"{API}/roles", json={"name": "r"}), 201)

        assert "conflict" == told(registry.admin.post(f"{API}/roles", json={"name": "r"}), 409)
        assert "not-found" == told(registry.admin.delete(f"{API}/roles/none"), 404)
        assert "not-found" == told(registry.admin.get(f"{API}/roles/none/members"), 404)
        answer = registry.admin.post(f"{API}/roles/r/members", json={"member": "nobody"})
        assert "not-found" == told(answer, 404)
        assert "invalid" == told(registry.admin.post(f"{API}/roles", json={"name": "role:x"}), 422)


class TestGrants:
    @pytest.fixture
    def owner(self, registry):
        """Who manages table `team.a`, and has no privilege on `team.b`."""
        for name in ("team.a", "team.b"):
            registry.registered(name, registry.parquet(f"{name}.parquet"))
        return registry.principal("o", (Privilege.MANAGE, ObjectKind.TABLE, registry.table_id("a")))

    def test_who_manages_a_table_grants_on_it_and_takes_it_back(self, registry, owner):
        reader = registry.principal("r")
        asked = {"privilege": "SELECT", "on": "table:team.a", "to": "r"}

        made = told(owner.post(f"{API}/grants", json=asked), 201)

        assert ["team.a"] == [one["name"] for one in told(reader.get(f"{API}/tables"))]
        assert made == told(owner.post(f"{API}/grants", json=asked))
        assert {"o", "r"} == {one["to"] for one in told(owner.get(f"{API}/grants"))}
        assert [made] == told(reader.get(f"{API}/grants"))
        assert "forbidden" == told(reader.delete(f"{API}/grants/{made['id']}"), 403)
        told(owner.delete(f"{API}/grants/{made['id']}"))
        assert [] == told(reader.get(f"{API}/tables"))

    @pytest.mark.parametrize(
        "on", ["table:team.b", "table:team.none", "namespace:team", "namespace:no", "catalog"]
    )
    def test_nobody_grants_on_what_they_do_not_manage(self, registry, owner, on):
        asked = {"privilege": "SELECT", "on": on, "to": "o"}

        assert "forbidden" == told(owner.post(f"{API}/grants", json=asked), 403)

    def test_who_manages_a_namespace_manages_its_tables(self, registry, owner):
        asked = {"privilege": "MANAGE", "on": "namespace:team", "to": "n"}
        of_namespace = registry.principal("n")
        told(registry.admin.post(f"{API}/grants", json=asked), 201)

        asked = {"privilege": "SELECT", "on": "table:team.b", "to": "o"}
        told(of_namespace.post(f"{API}/grants", json=asked), 201)

        on = {one["on"] for one in told(of_namespace.get(f"{API}/grants"))}
        assert {"namespace:team", "table:team.a", "table:team.b"} == on

    def test_a_key_that_is_limited_does_not_grant(self, registry):
        limited = key_for(registry, "admin", privileges=[Privilege.SELECT, Privilege.UPDATE])
        asked = {"privilege": "SELECT", "on": "catalog", "to": "admin"}

        assert "forbidden" == told(limited.post(f"{API}/grants", json=asked), 403)

    def test_a_choice_of_them(self, registry, owner):
        def chosen(**by):
            return [one["to"] for one in told(registry.admin.get(f"{API}/grants", params=by))]

        assert ["o"] == chosen(on="table:team.a")
        assert ["admin"] == chosen(to="admin")
        assert [] == chosen(to="nobody") == chosen(on="table:none")

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            ({"to": "nobody"}, 404),
            ({"to": "role:none"}, 404),
            ({"on": "table:none"}, 404),
            ({"on": "namespace:none"}, 404),
            ({"on": "location:s3://none/"}, 404),
            ({"on": "everything"}, 422),
            ({"on": "catalog:x"}, 422),
            ({"on": "table:../x"}, 422),
            ({"on": "namespace:a\u0000b"}, 422),
            ({"privilege": "ALL"}, 422),
            ({"grantee_id": "x"}, 422),
        ],
    )
    def test_what_cannot_be_granted_is_told(self, registry, body, status):
        asked = {"privilege": "SELECT", "on": "catalog", "to": "admin", **body}

        told(registry.admin.post(f"{API}/grants", json=asked), status)


FOR_ADMINISTRATORS = [
    ("GET", "/principals", None),
    ("POST", "/principals", {"name": "x"}),
    ("DELETE", "/principals/admin", None),
    ("POST", "/principals/admin/disable", None),
    ("POST", "/principals/admin/enable", None),
    ("GET", "/roles", None),
    ("POST", "/roles", {"name": "x"}),
    ("DELETE", "/roles/x", None),
    ("GET", "/roles/x/members", None),
    ("POST", "/roles/x/members", {"member": "r"}),
    ("DELETE", "/roles/x/members/r", None),
    ("POST", "/locations", {"uri": "s3://b/"}),
    ("DELETE", "/locations/x", None),
    ("GET", "/audit", None),
    ("POST", "/api-keys", {"principal": "admin"}),
    (
        "POST",
        "/grants",
        {"privilege": "MANAGE", "on": "catalog", "to": "r"},
    ),  # the last: it makes one
]


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_what_is_for_administrators_is_for_nobody_else(registry):
    others = [
        registry.principal("r", *((one, *ON_ALL) for one in list(Privilege)[:3])),
        key_for(registry, "admin", privileges=list(Privilege)[:3]),
    ]
    for method, path, body in FOR_ADMINISTRATORS:
        for other in others:
            answer = other.request(method, f"{API}{path}", json=body)

            assert "forbidden" == told(answer, 403), (method, path)
        assert 403 != registry.admin.request(method, f"{API}{path}", json=body).status_code, path


class TestTheLastAdministrator:
    def ways(self, registry):
        """Each way to remove the one administrator that there is."""
        own = told(registry.admin.get(f"{API}/whoami"))["key_id"]
        (grant,) = told(registry.admin.get(f"{API}/grants"))
        return [
            ("DELETE", f"/api-keys/{own}"),
            ("DELETE", f"/grants/{grant['id']}"),
            ("DELETE", "/principals/admin"),
            ("POST", "/principals/admin/disable"),
        ]

    def test_it_cannot_be_removed(self, registry):
        for method, path in self.ways(registry):
            answer = registry.admin.request(method, f"{API}{path}")

            assert "last-administrator" == told(answer, 409), path
        assert 200 == registry.admin.get(f"{API}/audit").status_code

    def test_one_by_way_of_a_role_cannot_either(self, registry):
        for name in ("outer", "inner"):
            told(registry.admin.post(f"{API}/roles", json={"name": name}), 201)
        for role, member in (("outer", "role:inner"), ("inner", "admin")):
            path = f"{API}/roles/{role}/members"
            told(registry.admin.post(path, json={"member": member}), 201)
        (direct,) = told(registry.admin.get(f"{API}/grants"))
        asked = {"privilege": "MANAGE", "on": "catalog", "to": "role:outer"}
        by_role = told(registry.admin.post(f"{API}/grants", json=asked), 201)
        told(registry.admin.delete(f"{API}/grants/{direct['id']}"))

        for path in (
            f"/grants/{by_role['id']}",
            "/roles/outer",
            "/roles/inner",
            "/roles/outer/members/role:inner",
            "/roles/inner/members/admin",
        ):
            assert "last-administrator" == told(registry.admin.delete(f"{API}{path}"), 409), path

    @pytest.mark.parametrize(
        "options",
        [{"privileges": [Privilege.SELECT]}, {"expires_at": now() - timedelta(seconds=1)}],
    )
    def test_a_key_that_cannot_administer_does_not_count(self, registry, options):
        key_for(registry, "admin", **options)

        for method, path in self.ways(registry):
            assert 409 == registry.admin.request(method, f"{API}{path}").status_code, path

    def test_where_there_is_another_one_can_be(self, registry):
        other = registry.principal("other", EVERYTHING)

        assert told(other.post(f"{API}/principals/admin/disable"))["disabled_at"]
        assert "last-administrator" == told(other.delete(f"{API}/principals/other"), 409)

    def test_of_two_that_remove_each_other_one_stays(self, registry):
        clients = {"admin": registry.admin, "other": registry.principal("other", EVERYTHING)}
        both = list(clients.items())

        def remove(n):
            name, _ = both[1 - n]
            return both[n][1].post(f"{API}/principals/{name}/disable").status_code

        for _ in range(5):
            answers = at_once(2, remove)

            left = [name for name, one in both if one.get(f"{API}/whoami").status_code == 200]
            assert left, answers
            for name, _ in both:
                told(clients[left[0]].post(f"{API}/principals/{name}/enable"))


class TestLocations:
    def test_one_is_added_seen_by_whom_it_is_granted_to_and_removed(self, registry):
        body = {"uri": "s3://lake/sales", "region": "eu-west-1"}

        made = told(registry.admin.post(f"{API}/locations", json=body), 201)

        assert ("s3://lake/sales/", {"region": "eu-west-1"}) == (made["uri"], made["options"])
        assert "conflict" == told(registry.admin.post(f"{API}/locations", json=body), 409)
        other = registry.principal("o", (Privilege.INSERT, ObjectKind.LOCATION, made["id"]))
        assert [{**made, "options": None}] == told(other.get(f"{API}/locations"))
        assert 2 == len(told(registry.admin.get(f"{API}/locations")))
        asked = {"table_name": "t", "uri": "s3://other/x.parquet", "format": "parquet"}
        assert 403 == other.post(f"{API}/jobs/register-snapshot", json=asked).status_code
        assert made == told(registry.admin.delete(f"{API}/locations/{made['id']}"))
        assert [] == told(other.get(f"{API}/locations"))
        assert [] == told(other.get(f"{API}/grants"))
        assert "not-found" == told(registry.admin.delete(f"{API}/locations/{made['id']}"), 404)

    @pytest.mark.parametrize(
        "body",
        [
            {"uri": "s3://"},
            {"uri": "s3:///x/"},
            {"uri": "https://b/x/"},
            {"uri": "file:///etc/"},
            {"uri": "s3://b/../x/"},
            {"uri": "s3://b/a//b/"},
            {"uri": "s3://b/x?endpoint_override=127.0.0.1"},
            {"uri": "s3://user:secret@b/x/"},
            {"uri": "s3://b:80/x/"},
            {"uri": "s3://b/a\u0000b/"},
            {"uri": "s3://b/*/"},
            {"uri": f"s3://{'b' * 300}/"},
            {"uri": "s3://" + "b" * 2_000},
            {"endpoint_url": "https://user:secret@minio.example"},
            {"endpoint_url": "https://minio.example/?secret=1"},
            {"endpoint_url": "file:///etc/passwd"},
            {"endpoint_url": "http://minio.example", "allow_http": False},
            {"access_key_id": "a"},
            {"secret_access_key": "hush"},
            {"options": {"secret_access_key": "hush"}},
            {"region": "a b"},
        ],
    )
    def test_what_cannot_be_one_is_refused_and_not_repeated(self, registry, body):
        answer = registry.admin.post(f"{API}/locations", json={"uri": "s3://b/x/", **body})

        assert "invalid" == told(answer, 422)
        assert "hush" not in answer.text
        assert "user:secret" not in answer.text

    @pytest.mark.parametrize(
        "host",
        [
            "169.254.169.254",
            "2852039166",
            "0xA9FEA9FE",
            "0251.0376.0251.0376",
            "[fe80::1]",
            "[::ffff:169.254.169.254]",
            "[64:ff9b::a9fe:a9fe]",
            "[fd00:ec2::254]",
            "[:::::]",
        ],
    )
    @pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
    def test_the_address_of_a_clouds_metadata_is_refused(self, registry, host):
        body = {"uri": "s3://b/x/", "endpoint_url": f"http://{host}/"}

        assert "invalid" == told(registry.admin.post(f"{API}/locations", json=body), 422)

    @pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
    def test_an_address_of_ones_own_is_not(self, registry):
        for number, host in enumerate(("127.0.0.1:9000", "minio.invalid", "10.0.0.7")):
            body = {"uri": f"s3://b{number}/", "endpoint_url": f"http://{host}"}

            told(registry.admin.post(f"{API}/locations", json=body), 201)


class TestTheAudit:
    def test_it_tells_who_did_what(self, registry):
        told(registry.admin.post(f"{API}/roles", json={"name": "r"}), 201)
        headers = {"X-Request-Id": "mine"}
        told(
            registry.admin.post(
                f"{API}/roles/r/members", json={"member": "admin"}, headers=headers
            ),
            201,
        )

        line = told(registry.admin.get(f"{API}/audit"))[0]

        own = told(registry.admin.get(f"{API}/whoami"))["key_id"]
        assert ("admin", own, "mine") == (line["principal"], line["key_id"], line["request_id"])
        assert ("add-member", "role:r") == (line["action"], line["object"])
        assert {"member": "admin"} == line["detail"]

    def test_what_was_refused_is_not_there(self, registry):
        told(registry.admin.delete(f"{API}/principals/admin"), 409)

        assert [] == told(registry.admin.get(f"{API}/audit"))

    def test_a_choice_of_it(self, registry):
        for name in ("a", "b"):
            told(registry.admin.post(f"{API}/roles", json={"name": name}), 201)
        between = now().isoformat()
        told(registry.admin.delete(f"{API}/roles/a"))

        def chosen(**by):
            found = told(registry.admin.get(f"{API}/audit", params=by))
            return [(one["action"], one["object"]) for one in found]

        assert [("delete-role", "role:a")] == chosen(action="delete-role") == chosen(since=between)
        assert [("make-role", "role:b"), ("make-role", "role:a")] == chosen(until=between)
        assert [("make-role", "role:b")] == chosen(object="role:b", principal="admin")
        assert [] == chosen(principal="nobody")
        assert 422 == registry.admin.get(f"{API}/audit?since=2020-01-01T00:00").status_code


@pytest.mark.parametrize(
    ("path", "by"),
    [
        ("/roles", "name"),
        ("/principals", "name"),
        ("/api-keys", "id"),
        ("/grants", "id"),
        ("/locations", "id"),
        ("/audit", "id"),
        ("/roles/r0/members", "member"),
    ],
)
def test_lists_are_read_a_page_at_a_time(registry, path, by):
    for number in range(5):
        name = f"p{number}"
        told(registry.admin.post(f"{API}/roles", json={"name": f"r{number}"}), 201)
        told(registry.admin.post(f"{API}/principals", json={"name": name}), 201)
        told(registry.admin.post(f"{API}/roles/r0/members", json={"member": name}), 201)
        told(registry.admin.post(f"{API}/api-keys", json={"principal": name}), 201)
        asked = {"privilege": "SELECT", "on": "catalog", "to": name}
        told(registry.admin.post(f"{API}/grants", json=asked), 201)
        told(registry.admin.post(f"{API}/locations", json={"uri": f"s3://b{number}/"}), 201)
    whole = [one[by] for one in told(registry.admin.get(f"{API}{path}"))]

    found, following = [], f"{API}{path}?limit=2"
    while following:
        answer = registry.admin.get(following)
        assert len(told(answer)) <= 2
        found += [one[by] for one in answer.json()]
        following = answer.links.get("next", {}).get("url")

    assert whole == found
    assert len(found) >= 5
    is_falling = path == "/audit"
    assert all((one > other) == is_falling for one, other in pairwise(found))
    for wrong in ("!", "AA", "Zg" * 1000 + "A", "gIA"):
        answer = registry.admin.get(f"{API}{path}", params={"cursor": wrong})
        assert answer.status_code in {200, 422}

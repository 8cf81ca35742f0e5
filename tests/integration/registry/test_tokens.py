"""Tokens of an identity provider: which are valid, what they give, and what they cannot do."""

from __future__ import annotations

import base64
import hmac
import json
import os
import time
from hashlib import sha256
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from sqlalchemy import delete, insert, select, update

from datacachalog.server.app import create_app
from datacachalog.server.errors import InvalidProblem
from datacachalog.server.identity.access import ObjectKind, Privilege
from datacachalog.server.identity.keyset import KeySet, KeysUnavailableProblem
from datacachalog.server.identity.principals import create_grant, now
from datacachalog.server.identity.tokens import Tokens, tokens_of
from datacachalog.server.schema import audit, grants, principals, role_members, roles, tasks
from datacachalog.server.settings import ServerSettings
from datacachalog.server.work.registering import Registrar
from datacachalog.server.work.worker import Worker
from datacachalog.testing.payloads import at_once
from tests.integration.registry.identity import AUDIENCE, ISSUER, Provider, claims_of, serving
from tests.integration.registry.world import Registry, job_of

ME = "/api/v1/whoami"
REGISTER = "/api/v1/jobs/register-snapshot"
sqlite = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)


@pytest.fixture
def provider():
    made = Provider()
    made.add("one")
    with serving(made):
        yield made


@pytest.fixture
def trusting(registry, provider):
    """A registry that takes the provider's tokens, and the role `readers`."""
    settings = ServerSettings(
        jwt_issuer=ISSUER,
        jwt_audience=AUDIENCE,
        jwks_url=provider.url,
        jwt_roles_claim="groups",
    )
    app = create_app(registry.database, None, settings)
    with registry.database.writing() as connection:
        connection.execute(insert(roles).values(id="readers", name="readers", created_at=now()))
        for one in (Privilege.SELECT, Privilege.INSERT):
            create_grant(connection, "readers", one, ObjectKind.CATALOG, to_role=True)
    return Registry(app, registry.database, registry.admin, registry.objects)


def refused(trusting, token):
    answer = trusting.client(token).get(ME)
    assert (401, "unauthenticated") == (answer.status_code, answer.json().get("code")), answer.text
    return answer.json()["detail"]


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
@sqlite
def test_a_token_is_of_its_issuers_subject(trusting, provider, algorithm):
    provider.add("two", algorithm)

    found = trusting.client(provider.token("two")).get(ME).json()

    assert found["principal"].startswith("ann~")
    assert (None, [], []) == (found["key_id"], found["roles"], found["privileges"])


def test_a_principal_is_made_when_it_comes_first(trusting, provider):
    client = trusting.client(provider.token())
    names = at_once(4, lambda _: client.get(ME).json()["principal"])

    assert 1 == len(set(names))
    with trusting.database.reading() as connection:
        rows = connection.execute(select(principals).where(principals.c.kind == "token")).all()
        lines = connection.execute(select(audit)).all()
    assert [(ISSUER, "ann")] == [(one.issuer, one.subject) for one in rows]
    assert ["make-principal"] == [one.action for one in lines]


@sqlite
def test_two_subjects_are_never_one_principal(trusting, provider):
    subjects = ["ann", "Ann", "ann ", "a/nn", "a nn", "admin", "", "~", "readers", "x" * 255, "ä"]

    names = {
        trusting.client(provider.token(sub=one)).get(ME).json().get("principal")
        for one in subjects
        if one
    }

    assert len(subjects) - 1 == len(names)
    assert not {None, "admin"} & names


class TestRoles:
    @pytest.mark.parametrize(
        "groups",
        [["readers"], ["none", "readers", 3, None, "a\u0000b"], "staff readers"],
    )
    @sqlite
    def test_the_claim_gives_roles_that_there_are(self, trusting, provider, groups):
        found = trusting.client(provider.token(groups=groups)).get(ME).json()

        assert (["readers"], ["SELECT", "INSERT"]) == (found["roles"], found["privileges"])

    @pytest.mark.parametrize("groups", [None, [], {"readers": 1}, 7, [["readers"]], "", "Readers"])
    @sqlite
    def test_another_claim_gives_none(self, trusting, provider, groups):
        assert [] == trusting.client(provider.token(groups=groups)).get(ME).json()["roles"]

    def test_they_are_had_for_the_request_only(self, trusting, provider):
        trusting.client(provider.token(groups=["readers"])).get(ME)

        assert [] == trusting.client(provider.token()).get(ME).json()["roles"]
        with trusting.database.reading() as connection:
            assert [] == connection.execute(select(role_members)).all()

    @pytest.mark.parametrize("claim", ["realm.access.roles", "https://x.example/roles"])
    @sqlite
    def test_the_claim_may_be_inside_of_another(self, registry, provider, claim):
        tokens = Tokens(ISSUER, AUDIENCE, KeySet(provider.url), claim)
        names = ["a", "b"]

        nested = {"realm": {"access": {"roles": names}}, "https://x.example/roles": names}

        assert ("a", "b") == tokens.identity(provider.token(**nested)).roles

    def test_roles_in_roles_and_own_grants_count_too(self, trusting, provider):
        me = trusting.client(provider.token(groups=["staff"])).get(ME).json()["principal"]
        with trusting.database.writing() as connection:
            connection.execute(insert(roles).values(id="staff", name="staff", created_at=now()))
            row = {"role_id": "readers", "member_kind": "role", "member_id": "staff"}
            connection.execute(insert(role_members).values(**row, created_at=now()))
        asked = {"privilege": "UPDATE", "on": "catalog", "to": me}
        assert 201 == trusting.admin.post("/api/v1/grants", json=asked).status_code

        found = trusting.client(provider.token(groups=["staff"])).get(ME).json()

        assert ["readers", "staff"] == found["roles"]
        assert ["SELECT", "INSERT", "UPDATE"] == found["privileges"]


BAD_CLAIMS: list[dict[str, Any]] = [
    {"iss": "https://id.example/realm/"},
    {"iss": "https://evil.example"},
    {"iss": None},
    {"iss": [ISSUER]},
    {"aud": "other"},
    {"aud": ["other"]},
    {"aud": None},
    {"exp": None},
    {"exp": "soon"},
    {"nbf": int(time.time()) + 3600},
    {"iat": int(time.time()) + 3600},
    {"sub": None},
    {"sub": ""},
    {"sub": 7},
    {"sub": "x" * 256},
    {"sub": "a\u0000b"},
    {"groups": ["x" * 100] * 200},  # longer than any token may be
]


@sqlite
def test_what_is_not_exactly_right_is_refused(trusting, provider):
    for claims in BAD_CLAIMS:
        try:
            token = provider.token(**claims)
        except TypeError:  # which PyJWT does not sign
            token = signed(provider, claims_of(**claims))
        assert "the token is not valid" == refused(trusting, token), claims


def signed(provider, claims, header=None):
    """A token that says anything, signed well."""
    algorithm, key = provider.keys["one"]
    return jwt.api_jws.encode(
        json.dumps(claims).encode(), key, algorithm, {"kid": "one", **(header or {})}
    )


@sqlite
def test_a_clock_may_be_a_little_wrong(trusting, provider):
    at = int(time.time())

    assert "the token has expired" == refused(trusting, provider.token(exp=at - 60))
    for claims in ({"exp": at - 5}, {"nbf": at + 5}, {"iat": at + 5}, {"aud": ["x", AUDIENCE]}):
        assert 200 == trusting.client(provider.token(**claims)).get(ME).status_code, claims


def parts(header, claims):
    return ".".join(
        base64.urlsafe_b64encode(json.dumps(one).encode()).decode().rstrip("=")
        for one in (header, claims)
    )


@sqlite
def test_a_token_does_not_say_how_it_is_checked(trusting, provider):
    provider.add("rsa", "RS256")
    claims, public = claims_of(), provider.keys["rsa"][1].public_key()
    spellings = [
        public.public_bytes(serialization.Encoding.PEM, one)
        for one in (
            serialization.PublicFormat.SubjectPublicKeyInfo,
            serialization.PublicFormat.PKCS1,
        )
    ] + [json.dumps(provider.public("rsa")).encode(), b""]

    for name in ("none", "None", "NONE", "", None, "HS999", "RS256 "):
        for end in ("", "AAAA"):
            refused(trusting, f"{parts({'alg': name, 'kid': 'rsa'}, claims)}.{end}")
    for secret in spellings:
        text = parts({"alg": "HS256", "kid": "rsa"}, claims)
        mac = hmac.new(secret, text.encode(), sha256).digest()
        refused(trusting, f"{text}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}")
    for other in ("RS384", "PS256"):
        refused(trusting, jwt.encode(claims, provider.keys["rsa"][1], other, {"kid": "rsa"}))
    refused(trusting, jwt.encode(claims, provider.keys["one"][1], "ES256", {"kid": "rsa"}))


@sqlite
def test_keys_of_a_tokens_own_mean_nothing(trusting, provider):
    evil = Provider()
    evil.add("one")
    with serving(evil):
        for header in (
            {"jku": evil.url},
            {"x5u": evil.url},
            {"jwk": evil.public("one")},
            {"x5c": ["AAAA"]},
            {"kid": evil.url},
            {"kid": "../../../../dev/null"},
            {"kid": "one' OR '1'='1"},
            {"kid": None},
            {"kid": 7},
            {"kid": ["one"]},
            {"crit": ["exp"]},
        ):
            text = {"alg": "ES256", "typ": "JWT", "kid": "one", **header}
            key = evil.keys["one"][1]
            signing = parts(text, claims_of())
            mark = jwt.algorithms.ECAlgorithm(jwt.algorithms.ECAlgorithm.SHA256).sign(
                signing.encode(), key
            )
            refused(trusting, f"{signing}.{base64.urlsafe_b64encode(mark).decode().rstrip('=')}")
        assert 0 == evil.asked


@sqlite
def test_what_is_no_token_is_refused(trusting, provider):
    token = provider.token()
    for wrong in (
        token[:-4],
        token.replace(".", ""),
        token + ".x",
        f"{token.rpartition('.')[0]}.",
        "a.b.c",
        "..",
        "e30.e30.e30",
        "eyJ.." + "x" * 10_000,
        "[" * 3_000,
        parts([], []) + ".AAAA",
    ):
        refused(trusting, wrong)
    two = [("Authorization", f"Bearer {one}") for one in (token, token)]
    assert 401 == trusting.client(token).get(ME, headers=two).status_code


def test_one_that_is_disabled_comes_no_more(trusting, provider):
    client = trusting.client(provider.token())
    name = client.get(ME).json()["principal"]

    assert 200 == trusting.admin.post(f"/api/v1/principals/{name}/disable").status_code

    assert 401 == client.get(ME).status_code


@sqlite
def test_a_token_makes_no_key(trusting, provider):
    answer = trusting.client(provider.token()).post("/api/v1/api-keys", json={})

    assert (403, "forbidden") == (answer.status_code, answer.json()["code"])


@sqlite
def test_without_a_provider_no_token_is_taken(registry, provider):
    assert 401 == registry.client(provider.token()).get(ME).status_code
    assert 0 == provider.asked


class TestTasks:
    @pytest.fixture
    def done(self, trusting, provider):
        """A registration by a reader, worked on after a change; how it ended."""

        def do(change=lambda _: None):
            client = trusting.client(provider.token(groups=["readers"]))
            asked = {"table_name": "t", "uri": trusting.parquet("1.parquet"), "format": "parquet"}
            answer = client.post(REGISTER, json=asked)
            assert 202 == answer.status_code, answer.text
            with trusting.database.writing() as connection:
                change(connection)
                connection.execute(update(tasks).values(status="queued"))
            late = Worker(trusting.database, Registrar(trusting.database, os.environ))
            late.start()
            try:
                return job_of(trusting.database, answer.json()["job_id"])
            finally:
                late.stop()

        return do

    @pytest.fixture
    def worker(self, database):
        """None that would be faster than the changes."""
        return Worker(database, Registrar(database, os.environ))

    def test_one_is_done_as_the_token_allowed(self, done):
        job = done()

        assert ("completed", None, ["readers"]) == (job["status"], job["key_id"], job["role_ids"])

    @pytest.mark.parametrize(
        "change",
        [
            lambda it: it.execute(delete(grants).where(grants.c.grantee_id == "readers")),
            lambda it: it.execute(
                update(principals).where(principals.c.kind == "token").values(disabled_at=now())
            ),
        ],
    )
    def test_one_that_is_not_allowed_any_more_fails(self, done, change):
        job = done(change)

        assert ("failed", "forbidden") == (job["status"], job["error_code"])


class TestKeySets:
    def test_a_new_key_is_found_and_an_old_one_gone(self, provider):
        clock = [0.0]
        keys = KeySet(provider.url, clock=lambda: clock[0])
        assert keys.key("one")
        provider.add("two")
        del provider.keys["one"]

        assert None is keys.key("two")  # it was asked just now
        clock[0] += 11
        assert keys.key("two")
        assert None is keys.key("one")

    def test_unknown_keys_do_not_have_it_asked_again_and_again(self, provider):
        keys = KeySet(provider.url)

        found = at_once(8, lambda n: [keys.key(f"{n}-{other}") for other in range(50)])

        assert {None} == {one for some in found for one in some}
        assert 1 == provider.asked

    def test_many_that_come_at_the_start_wait_for_the_first(self, provider):
        provider.pause_s = 0.3
        keys = KeySet(provider.url)

        assert all(at_once(8, lambda _: keys.key("one")))
        assert 1 == provider.asked

    def test_what_was_read_last_holds_for_a_while(self, provider):
        clock = [0.0]
        keys = KeySet(provider.url, clock=lambda: clock[0])
        keys.key("one")
        provider.answer = (500, {}, b"")

        clock[0] += 3_000
        assert keys.key("one")
        clock[0] += 3_000
        with pytest.raises(KeysUnavailableProblem):
            keys.key("one")
        provider.answer = None
        clock[0] += 31
        assert keys.key("one")

    @pytest.mark.parametrize(
        "answer",
        [
            (404, {}, b""),
            (200, {}, b"nonsense"),
            (200, {}, b"[]"),
            (200, {}, b'{"keys": 7}'),
            (200, {}, b'{"keys": [' + b" " * (1 << 20) + b"]}"),
            (200, {}, b"[" * 100_000),
        ],
    )
    def test_what_is_no_key_set_is_none(self, provider, answer):
        provider.answer = answer

        with pytest.raises(KeysUnavailableProblem):
            KeySet(provider.url).key("one")

    def test_it_is_at_its_address_or_nowhere(self, provider):
        other = Provider()
        other.add("one")
        with serving(other):
            provider.answer = (302, {"Location": other.url}, b"")

            with pytest.raises(KeysUnavailableProblem):
                KeySet(provider.url).key("one")
            assert 0 == other.asked

    def test_one_that_does_not_answer_is_not_waited_for(self, provider):
        provider.pause_s = 60
        begun = time.monotonic()

        with pytest.raises(KeysUnavailableProblem):
            KeySet(provider.url).key("one")

        assert time.monotonic() - begun < 40

    def test_keys_that_are_not_for_tokens_do_not_count(self, provider):
        weak = json.loads(
            jwt.algorithms.RSAAlgorithm.to_jwk(rsa.generate_private_key(65537, 1024).public_key())  # noqa: S505
        )
        good = provider.public("one")
        odd = [
            {"kty": "oct", "k": "AAAA", "kid": "secret"},
            {**weak, "kid": "weak"},
            {**good, "kid": "encrypts", "use": "enc"},
            {**good, "kid": "other", "alg": "HS256"},
            {**good, "kid": "curve", "crv": "P-384"},
            {**good, "kid": "list", "crv": ["P-256"]},
            {**good, "kid": "torn", "x": "!"},
            {**good, "kid": 7},
            "none",
            {},
        ]
        provider.answer = (200, {}, json.dumps({"keys": [*odd, good]}).encode())
        keys = KeySet(provider.url)

        assert keys.key("one")
        names = ("secret", "weak", "encrypts", "other", "curve", "list", "torn", "7")
        assert [None] * len(names) == [keys.key(name) for name in names]

    def test_it_may_be_a_file(self, provider, tmp_path):
        file = tmp_path / "the keys.json"
        file.write_bytes(provider.jwks())

        assert KeySet(file.as_uri()).key("one")

    @pytest.mark.parametrize(
        "url",
        ["http://id.example/keys", "ftp://x/", "/etc/keys", "file://host/x", "data:,{}", ""],
    )
    def test_it_is_nowhere_else(self, url):
        with pytest.raises(InvalidProblem):
            KeySet(url)


@sqlite
def test_where_no_keys_can_be_had_that_is_told(trusting, provider):
    provider.answer = (500, {}, b"")

    answer = trusting.client(provider.token()).get(ME)

    assert (503, "keys-unavailable") == (answer.status_code, answer.json()["code"])
    assert "10" == answer.headers["retry-after"]
    assert 200 == trusting.admin.get(ME).status_code


@pytest.mark.parametrize("left_out", ["JWT_ISSUER", "JWT_AUDIENCE", "JWKS_URL"])
def test_settings_that_say_half_are_refused(monkeypatch, left_out):
    given = {"JWT_ISSUER": ISSUER, "JWT_AUDIENCE": AUDIENCE, "JWKS_URL": "https://id.example/keys"}
    for name, value in given.items():
        monkeypatch.setenv(f"DATLAKE_SERVER_{name}", value)
    assert tokens_of(ServerSettings())
    monkeypatch.delenv(f"DATLAKE_SERVER_{left_out}")

    with pytest.raises(InvalidProblem, match=left_out):
        tokens_of(ServerSettings())

"""No secret is where it does not belong: in logs, refusals, the audit or the database."""

from __future__ import annotations

import http.client
import json
import logging
import sqlite3
import sys
import time
from contextlib import closing

import pytest
from sqlalchemy import select

from datacachalog.server.database import Database
from datacachalog.server.operations.logs import use_logs, without_secrets
from datacachalog.server.schema import metadata
from tests.integration.registry.identity import AUDIENCE, ISSUER, Provider, serving
from tests.integration.registry.test_serving import run, serve
from tests.servers.processes import HeldPorts

__all__ = ["serve"]  # a fixture

CANARY = "caNary0123456789caNary0123456789caNary"


def everything_kept(settings):
    """All rows of all tables, as text."""
    database = Database(settings.url())
    with closing(database), database.reading() as connection:
        return "".join(
            repr(connection.execute(select(table)).all()) for table in metadata.sorted_tables
        )


def asked(server, method, path, body=None, **headers):
    """The status and the text of any answer."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    with closing(connection):
        text = None if body is None else json.dumps(body)
        kind = {} if body is None else {"Content-Type": "application/json"}
        connection.request(method, path, text, {**kind, **headers})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def test_no_secret_is_told_or_kept(serve, options, settings, monkeypatch):
    ports = HeldPorts(1)
    (nobody,) = ports
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", f"id{CANARY}")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", f"secret{CANARY}")
    monkeypatch.setenv("AWS_SESSION_TOKEN", f"session{CANARY}")
    provider = Provider()
    provider.add("one")
    with serving(provider):
        for name, value in (
            ("JWT_ISSUER", ISSUER),
            ("JWT_AUDIENCE", AUDIENCE),
            ("JWKS_URL", provider.url),
        ):
            monkeypatch.setenv(f"DATLAKE_SERVER_{name}", value)
        server = serve()
        token, bad = provider.token(sub="ann"), provider.token(aud="other")
        mine = {"Authorization": f"Bearer {server.key}"}
        secrets = [server.key.split("_", 2)[2], CANARY, token, bad, "hush"]
        said, made = "", json.loads(asked(server, "POST", "/api/v1/api-keys", {}, **mine)[1])
        secrets.append(made["key"].split("_", 2)[2])
        place = {"uri": "s3://b/", "endpoint_url": f"http://127.0.0.1:{nobody}"}
        job = {"table_name": "t", "uri": "s3://b/t.parquet", "format": "parquet"}
        for status, request in [
            (201, ("POST", "/api/v1/locations", place, mine)),
            (422, ("POST", "/api/v1/locations", {"uri": "s3://a:hush@b/"}, mine)),
            (422, ("POST", "/api/v1/locations", {**place, "secret": "hush"}, mine)),
            (
                422,
                ("POST", "/api/v1/locations", {**place, "endpoint_url": "http://a:hush@b"}, mine),
            ),
            (202, ("POST", "/api/v1/jobs/register-snapshot", job, mine)),
            (
                422,
                ("POST", "/api/v1/jobs/register-snapshot", {**job, "uri": "s3://a:hush@b/c"}, mine),
            ),
            (401, ("GET", f"/api/v1/whoami?key={made['key']}", None, {})),
            (401, ("GET", f"/api/v1/whoami?access_token={token}", None, {})),
            (401, ("GET", "/api/v1/whoami", None, {"Authorization": f"Bearer {made['key']}x"})),
            (401, ("GET", "/api/v1/whoami", None, {"Authorization": f"Basic {made['key']}"})),
            (200, ("GET", "/api/v1/whoami", None, {"Authorization": f"Bearer {token}"})),
            (401, ("GET", "/api/v1/whoami", None, {"Authorization": f"Bearer {bad}"})),
            (200, ("GET", "/api/v1/api-keys", None, mine)),
            (200, ("GET", "/api/v1/locations", None, mine)),
            (200, ("GET", "/api/v1/audit", None, mine)),
        ]:
            method, path, body, headers = request
            found, text = asked(server, method, path, body, **headers)
            assert status == found, (request, text)
            said += text
        deadline = time.monotonic() + 60
        while "storage_unavailable" not in everything_kept(settings):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        server.stop()

    first_line = f"The administrator's key, which is shown only now: {server.key}\n"
    log = server.log.read_text()
    assert 1 == log.count(first_line)
    places = {
        "answers": said,
        "log": log.replace(first_line, ""),
        "database": everything_kept(settings),
    }
    assert '"/api/v1/whoami"' in places["log"]
    assert made["id"] in places["answers"]
    for where, text in places.items():
        assert [] == [one for one in secrets if one in text], where


def test_a_key_that_one_server_revokes_is_refused_by_another(serve):
    servers = [serve(), serve()]
    key = next(one.key for one in servers if one.key)
    mine = {"Authorization": f"Bearer {key}"}
    made = json.loads(asked(servers[0], "POST", "/api/v1/api-keys", {}, **mine)[1])
    other = {"Authorization": f"Bearer {made['key']}"}
    assert 200 == asked(servers[1], "GET", "/api/v1/whoami", **other)[0]

    asked(servers[0], "DELETE", f"/api/v1/api-keys/{made['id']}", **mine)

    assert 401 == asked(servers[1], "GET", "/api/v1/whoami", **other)[0]


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_a_server_with_half_of_the_settings_of_tokens_does_not_start(options, monkeypatch):
    monkeypatch.setenv("DATLAKE_SERVER_JWT_ISSUER", ISSUER)

    code, _, error = run(*options, "serve")

    assert (2, True) == (code, "JWT_AUDIENCE" in error)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("GET /?k=dlk_abcdefghijkl_" + "x" * 43 + "&a=1", "GET /?k=dlk_abcdefghijkl_***&a=1"),
        ("Bearer eyJhbGciOi.eyJpc3MiOi.c2ln", "Bearer ***"),
        ("/o?X-Amz-Signature=00ff&X-Amz-Date=1", "/o?X-Amz-Signature=***&X-Amz-Date=1"),
        ("postgresql://me:hush@db/x", "postgresql://me:***@db/x"),
        ("http://127.0.0.1:80/a@b", "http://127.0.0.1:80/a@b"),
    ],
)
def test_a_log_tells_no_secret(text, told):
    assert told == without_secrets(text)


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_an_error_that_nobody_foresaw_tells_no_secret_either(database, capfd):
    root = logging.getLogger()
    before = root.handlers
    use_logs("text", sys.stderr)
    key = "dlk_abcdefghijkl_" + "x" * 43
    try:
        raise sqlite3.OperationalError(f"near {key}")
    except sqlite3.OperationalError:
        logging.getLogger("datacachalog.server").exception("it failed with %s", key)
    finally:
        root.handlers = before

    told = capfd.readouterr().err
    assert 2 == told.count("dlk_abcdefghijkl_***")
    assert key not in told

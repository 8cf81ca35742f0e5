"""The registry that the tests of the SDK share is what they take it for."""

from __future__ import annotations

import os
import urllib.error

import pytest


def test_it_knows_its_administrator_and_nobody_else(server):
    assert "admin" == server.ask("GET", "/whoami")["principal"]
    with pytest.raises(urllib.error.HTTPError, match="401"):
        server.ask("GET", "/whoami", key="dlk_wrong")


def test_a_principal_may_what_it_was_granted(server, table):
    made = server.registered(table, server.object(b"id\n1\n"), "csv")
    reader, nobody = server.principal(("SELECT", f"table:{table}")), server.principal()

    found = server.ask("GET", f"/tables/{table}/snapshots/latest", key=reader)

    assert made == found["snapshot_id"]
    with pytest.raises(urllib.error.HTTPError, match="403"):
        server.ask("GET", f"/tables/{table}/snapshots/latest", key=nobody)


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_what_it_knew_it_knows_when_it_comes_back(new_server, how):
    server = new_server()
    made, pid = server.registered("t", server.object(b"id\n1\n"), "csv"), server.pid

    getattr(server, how)()
    assert not server.is_up()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)

    server.start()
    assert made == server.ask("GET", "/tables/t/snapshots/latest")["snapshot_id"]

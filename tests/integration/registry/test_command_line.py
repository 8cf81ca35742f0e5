"""`datlake key`, `role`, `grants` and so on, as an operator types them."""

from __future__ import annotations

import json

import pytest

from datacachalog.cli.datlake_app import app
from datacachalog.cli.main import run
from datacachalog.server.database import Database
from datacachalog.server.identity.principals import first_admin
from datacachalog.server.serve import prepared
from tests.servers.processes import HeldPorts


@pytest.fixture
def typed(settings, capfd):
    """Runs a command on a registry that has an administrator; its exit code and its output."""
    database = prepared(settings)
    with database.writing() as connection:
        first_admin(connection)
    database.close()
    options = ["--data-dir", str(settings.data_dir)]
    if settings.database_url is not None:
        options += ["--database-url", settings.database_url]

    class Typed:
        def __call__(self, *args):
            code = run([*options, *args], app)
            return int(code), *capfd.readouterr()

        def json(self, *args):
            code, output, error = self(*args, "--json")
            assert (0, "") == (code, error)
            return json.loads(output)

    return Typed()


def done(result):
    assert (0, "") == (result[0], result[2])
    return result[1]


def test_keys_are_made_listed_and_revoked(typed):
    text = done(typed("key", "create", "etl", "--only", "SELECT", "--name", "nightly")).strip()
    key_id, secret = text.split("_", 2)[1:]

    (key,) = typed.json("key", "list", "etl")

    assert (key_id, "nightly", ["SELECT"]) == (key["id"], key["name"], key["privileges"])
    assert {"admin", "etl"} == {one["principal"] for one in typed.json("key", "list")}
    done(typed("key", "revoke", key_id))
    listed = done(typed("key", "list"))
    assert [key_id, "etl", "revoked", "SELECT"] == listed.splitlines()[1].split("\t")[:4]
    assert secret not in listed + done(typed("audit"))


def test_roles_and_grants(typed):
    typed("key", "create", "ann")
    done(typed("role", "create", "staff"))
    done(typed("role", "add", "staff", "ann"))
    done(typed("role", "add", "readers", "role:staff"))
    done(typed("grant", "SELECT", "catalog", "--to", "role:readers"))

    assert [("readers", ["role:staff"]), ("staff", ["ann"])] == [
        (one["name"], one["members"]) for one in typed.json("role", "list")
    ]
    (grant,) = typed.json("grants", "list", "--to", "role:readers", "--on", "catalog")
    assert ("SELECT", "catalog", "role:readers") == tuple(
        grant[one] for one in ("privilege", "on", "to")
    )
    done(typed("grants", "revoke", grant["id"]))
    done(typed("role", "remove", "staff", "ann"))
    done(typed("role", "delete", "readers"))
    assert ["admin"] == [one["to"] for one in typed.json("grants", "list")]
    (role,) = done(typed("role", "list")).splitlines()
    assert ("staff", "") == (role.split("\t")[0], role.split("\t")[2])


def test_principals_are_disabled_and_enabled(typed):
    typed("key", "create", "ann")
    for word, state in (("disable", "disabled"), ("enable", "active")):
        done(typed("principal", word, "ann"))

        rows = [line.split("\t") for line in done(typed("principal", "list")).splitlines()]
        assert [["admin", "active"], ["ann", state]] == [[one[0], one[2]] for one in rows]


def test_locations_are_added_listed_and_removed(typed, tmp_path):
    done(typed("location", "add", "s3://lake/sales", "--region", "eu-west-1"))
    done(typed("location", "add", tmp_path.as_uri()))
    found = {one["uri"]: one["options"] for one in typed.json("location", "list")}
    assert {"region": "eu-west-1"} == found["s3://lake/sales/"]
    assert {} == found[f"{tmp_path.resolve().as_uri()}/"]

    done(typed("location", "remove", "s3://lake/sales/"))

    assert "s3://lake" not in done(typed("location", "list"))


def test_what_is_typed_is_in_the_audit(typed):
    typed("role", "add", "staff", "admin")
    typed("role", "delete", "staff")

    assert ["delete-role", "add-member", "make-role"] == [
        one["action"] for one in typed.json("audit")
    ]
    (line,) = typed.json("audit", "--action", "add-member", "--on", "role:staff")
    assert (None, None, {"member": "admin"}) == (line["principal"], line["key_id"], line["detail"])
    assert [] == typed.json("audit", "--principal", "admin")
    assert "command line\tdelete-role" in done(typed("audit", "--limit", "1"))


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_what_cannot_be_is_told(typed):
    (grant,) = typed.json("grants", "list")
    (key,) = typed.json("key", "list")
    for command, code, told in [
        (("principal", "disable", "admin"), 5, "no administrator"),
        (("key", "revoke", key["id"]), 5, "no administrator"),
        (("grants", "revoke", grant["id"]), 5, "no administrator"),
        (("grants", "revoke", "none"), 3, "there is no grant 'none'"),
        (("grants", "list", "--on", "everything"), 2, "a privilege is on catalog"),
        (("principal", "disable", "nobody"), 3, "there is no principal 'nobody'"),
        (("role", "create", "role:x"), 2, "name: "),
        (("role", "delete", "none"), 3, "there is no role 'none'"),
        (("role", "remove", "none", "admin"), 3, "there is no role 'none'"),
        (("role", "add", "staff", "nobody"), 3, "there is no principal 'nobody'"),
        (("key", "create", "role:x"), 2, "principal: "),
        (("location", "remove", "s3://none/"), 3, "there is no location"),
        (("location", "add", "s3://b/?x/"), 2, "characters"),
        (
            ("location", "add", "s3://b/", "--endpoint-url", "http://169.254.169.254"),
            2,
            "link-local",
        ),
    ]:
        found, _, error = typed(*command)

        assert (code, True) == (found, told in error), (command, error)
    assert [] == typed.json("audit")


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_a_registry_without_an_administrator_is_no_matter(settings):
    """Nobody is the last one yet."""
    database = Database(settings.url())
    database.migrate()
    database.close()
    options = ["--data-dir", str(settings.data_dir)]

    assert 0 == run([*options, "key", "create", "ann"], app)
    assert 0 == run([*options, "principal", "disable", "ann"], app)


class TestSettingsThatCannotBe:
    """Whoever sets a server up is told what to change, and not of a bug."""

    @pytest.fixture
    def told(self, capfd):
        def told(*args):
            code = run([*map(str, args)], app)
            error = capfd.readouterr().err
            assert "bug" not in error
            return int(code), error

        return told

    def test_a_port_that_is_none(self, told, tmp_path):
        code, error = told("--data-dir", tmp_path, "serve", "--port", "99999")

        assert 2 == code
        assert "DATLAKE_SERVER_PORT" in error

    def test_a_variable_that_is_none(self, told, tmp_path, monkeypatch):
        monkeypatch.setenv("DATLAKE_SERVER_LEASE_S", "long")

        code, error = told("--data-dir", tmp_path, "key", "list")

        assert 2 == code
        assert "DATLAKE_SERVER_LEASE_S" in error

    def test_a_data_folder_that_cannot_be_made(self, told, tmp_path):
        (tmp_path / "file").touch()

        code, error = told("--data-dir", tmp_path / "file" / "data", "serve")

        assert 6 == code
        assert f"error: {tmp_path / 'file' / 'data'} cannot be made: Not a directory" in error

    def test_a_database_that_does_not_answer(self, told, tmp_path):
        ports = HeldPorts(1)
        url = f"postgresql://ann:s3cret@127.0.0.1:{ports[0]}/x"

        code, error = told("--data-dir", tmp_path, "--database-url", url, "key", "list")

        assert 6 == code
        assert "cannot be opened" in error
        assert "s3cret" not in error

    def test_an_option_of_the_command_itself(self, told):
        code, error = told("key", "list", "--data-dir", "/x")

        assert 2 == code
        assert "hint: it stands before the command: 'datlake --data-dir …'" in error

    def test_a_choice_that_is_missing(self, told):
        code, error = told("policy", "t")

        assert 2 == code
        assert "Choose from: none, additive, strict" in error


def test_who_forgot_where_the_registry_is_is_told_that_another_one_was_made(tmp_path, caplog):
    command = ["--data-dir", str(tmp_path / "elsewhere"), "location", "list"]

    assert 0 == run(command, app)
    assert f"no registry in {tmp_path / 'elsewhere'}" in caplog.text
    caplog.clear()
    assert 0 == run(command, app)
    assert "" == caplog.text

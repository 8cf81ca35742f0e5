"""The samples in deploy/ agree with the program. Docker itself is not started here."""

from __future__ import annotations

import configparser
import re
import shlex
from typing import Any

import click
import pytest
import yaml

from datacachalog.cli.datlake_app import app
from datacachalog.server.settings import ServerSettings
from tests.pages import ROOT

DEPLOY = ROOT / "deploy"
PREFIX = "DATLAKE_SERVER_"
SETTINGS = {f"{PREFIX}{name.upper()}" for name in ServerSettings.model_fields}


def text_of(name: str) -> str:
    return (DEPLOY / name).read_text(encoding="utf-8")


def sample() -> dict[str, str]:
    """The variables of the sample, also those that are commented out."""
    found = re.findall(r"^#?([A-Z][A-Z0-9_]*)=(.*)$", text_of(".env.example"), re.MULTILINE)
    assert len(found) == len(dict(found)), "one is there twice"
    return dict(found)


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(text_of("compose.yaml"))
    return found


def unit() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, strict=True)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(text_of("datlake.service"))
    return parser


def named(text: str) -> set[str]:
    return set(re.findall(rf"{PREFIX}[A-Z_]+", text))


def test_the_sample_has_every_setting_and_no_other():
    assert {name for name in sample() if name.startswith(PREFIX)} == SETTINGS


def test_the_sample_has_the_defaults(monkeypatch):
    defaults = ServerSettings().model_dump()
    given = {name: value for name, value in sample().items() if name in SETTINGS}
    for name, value in given.items():
        default = defaults[name.removeprefix(PREFIX).lower()]
        if default is not None and name != f"{PREFIX}DATA_DIR":  # which is the user's
            monkeypatch.setenv(name, value)

    assert defaults == ServerSettings().model_dump()
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert "/var/lib/datlake" == str(ServerSettings().data_dir)
    assert ServerSettings().url().startswith("postgresql://")


@pytest.mark.parametrize("name", ["compose.yaml", "Dockerfile", "datlake.service"])
def test_no_other_sample_has_a_setting_that_is_none(name):
    assert named(text_of(name)) <= SETTINGS


def test_the_reference_has_every_setting():
    reference = (ROOT / "docs/reference/environment.md").read_text(encoding="utf-8")

    assert SETTINGS - named(reference) == set()


def commands_of(words: list[str]) -> None:
    """Fails unless `datlake` knows the command, with these options."""
    with click.Context(app) as context:
        name, command, rest = app.resolve_command(context, words)
        assert command is not None
        command.make_context(name, rest, parent=context)


def test_compose_starts_what_there_is():
    services = compose()["services"]

    assert {"database", "api", "worker", "seaweedfs"} == set(services)
    for name in ("api", "worker"):
        commands_of(services[name]["command"])
        environ = services[name]["environment"]
        assert "false" == environ[f"{PREFIX}WORKER"]
        assert services[name]["deploy"]["replicas"] > 1
        grace = int(services[name]["stop_grace_period"].removesuffix("s"))
        assert grace > 2 * ServerSettings().shutdown_s
    assert services["api"]["ports"][0].startswith("127.0.0.1:")
    assert ["s3"] == services["seaweedfs"]["profiles"]
    volumes = {one.split(":")[0] for each in services.values() for one in each.get("volumes", [])}
    assert volumes == set(compose()["volumes"])


def test_the_unit_starts_what_there_is():
    service = unit()["Service"]

    program, *words = shlex.split(service["ExecStart"])
    assert program.endswith("/datlake")
    commands_of(words)
    assert int(service["TimeoutStopSec"]) > 2 * ServerSettings().shutdown_s
    assert "multi-user.target" == unit()["Install"]["WantedBy"]


def test_the_image_runs_as_nobody_special_and_knows_whether_it_is_well():
    lines = text_of("Dockerfile").replace("\\\n", " ").splitlines()
    said = {line.split()[0]: line.split(maxsplit=1)[1] for line in lines if line[:1].isupper()}

    assert int(said["USER"]) > 0
    assert "/readyz" in said["HEALTHCHECK"]
    assert "SIGTERM" == said["STOPSIGNAL"]
    (check,) = re.findall(r'"-c", "(.*)"\]', said["HEALTHCHECK"])
    compile(check, "HEALTHCHECK", "exec")
    commands_of(yaml.safe_load(said["CMD"]))


def test_no_sample_has_a_password():
    for file in DEPLOY.iterdir():
        assert not re.search(r"(?i)password[=:]\s*[a-z0-9]", file.read_text(encoding="utf-8")), file

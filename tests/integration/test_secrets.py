"""No credential is in a message, repr, traceback, log, pickle or cache file, whatever happens."""

from __future__ import annotations

import logging
import pickle
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from datacachalog import DatacachalogError, Dataset
from datacachalog.adapters.storage.aws import connection
from datacachalog.adapters.storage.registry import StorageSettings
from datacachalog.domain.storage_options import StorageOptions
from tests.integration.support import BIG, Remote, everything_in, started
from tests.servers.counting import CountingProxy
from tests.servers.exchange import Reply, Script

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from datacachalog import Catalog
    from tests.servers.exchange import Exchange
    from tests.servers.moto import MotoServer

KEY, SECRET, TOKEN = "AKIACANARYCANARY0001", "canary-secret+/0002", "canary-token+/0003=="
CANARIES = [KEY, SECRET, TOKEN, "canary-password", "canary-signature"]


@pytest.fixture
def remote(
    moto_s3: MotoServer, use_environment: Callable[[Mapping[str, str]], None]
) -> Iterator[Remote]:
    """An object on a server that takes any credentials; ours are the canaries."""
    client = moto_s3.client()
    with CountingProxy(moto_s3.endpoint) as proxy:
        use_environment(
            {
                **moto_s3.environment(endpoint=proxy.endpoint),
                "AWS_ACCESS_KEY_ID": KEY,
                "AWS_SECRET_ACCESS_KEY": SECRET,
                "AWS_SESSION_TOKEN": TOKEN,
            }
        )
        found = Remote(moto_s3, proxy, client, moto_s3.bucket())
        found.put(1)
        yield found
    client.close()


def echo(exchange: Exchange, status: int = 403) -> Script:
    """Refuses a request and repeats all that was in it, as S3 does with tokens it does not like."""
    told = "".join(f"<{name}>{value}</{name}>" for name, value in exchange.headers.items())
    return Script(
        reply=Reply(
            status,
            f"<Error><Code>InvalidToken</Code><Message>The provided token is malformed.</Message>"
            f"<Token-0>{TOKEN}</Token-0><AWSAccessKeyId>{KEY}</AWSAccessKeyId>{told}"
            f"<StringToSign>{SECRET}</StringToSign></Error>".encode(),
        )
    )


MISBEHAVIOURS: dict[str, Callable[[Exchange], Script | None]] = {
    "well": lambda _: None,
    "refusing": echo,
    "failing": lambda exchange: echo(exchange, 503),
    "cutting": lambda _: Script(cut_after=10),
    "redirecting": lambda exchange: (
        echo(exchange)
        if "canary-signature" in exchange.path
        else Script(
            reply=Reply(
                307, headers={"Location": f"{exchange.path}?X-Amz-Signature=canary-signature"}
            )
        )
    ),
    "forgetting": lambda _: Script(reply=Reply(404, b"<Error><Code>NoSuchKey</Code></Error>")),
    "conflicting": lambda exchange: Script(reply=Reply(412)) if exchange.method == "PUT" else None,
    "garbling": lambda exchange: (
        None if exchange.method == "GET" else Script(reply=Reply(200, b"<html>" + TOKEN.encode()))
    ),
}


@pytest.mark.parametrize("how", MISBEHAVIOURS)
def test_a_store_that_behaves_in_any_way_brings_no_secret_to_light(
    remote, cache_dir, tmp_path, caplog, capfd, how
):
    (tmp_path / "new").write_bytes(b"new")
    remote.put(1, BIG)
    remote.proxy.hook = MISBEHAVIOURS[how]
    caplog.set_level(logging.INFO)

    shown = _all_that_is_shown(remote.catalog(cache_dir), tmp_path / "new")

    streams = capfd.readouterr()
    shown += f"{caplog.text}{streams.out}{streams.err}"
    assert [] == [canary for canary in CANARIES if canary in shown]
    assert [] == [c for c in CANARIES if c.encode() in everything_in(cache_dir)]


@pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"])
def test_an_address_with_a_password_or_a_signature_brings_neither_to_light(
    remote, cache_dir, tmp_path, monkeypatch, variable
):
    (tmp_path / "new").write_bytes(b"new")
    host = remote.proxy.endpoint.removeprefix("http://")
    monkeypatch.setenv(variable, f"http://user:canary-password@{host}/?sig=canary-signature")

    shown = _all_that_is_shown(remote.catalog(cache_dir), tmp_path / "new")

    assert [] == [canary for canary in CANARIES if canary in shown]
    assert [] == [c for c in CANARIES if c.encode() in everything_in(cache_dir)]


def test_a_source_with_a_signature_does_not_bring_it_to_light():
    source = "https://user:canary-password@lake.example/a.csv?X-Amz-Signature=canary-signature"

    with pytest.raises(DatacachalogError) as caught:
        Dataset("a", source)

    assert [] == [canary for canary in CANARIES if canary in _told(caught.value)]


def test_the_command_shows_no_secret_even_when_it_debugs(remote, cache_dir, tmp_path):
    (tmp_path / "catalog.yaml").write_text(
        f"version: 1\ndatasets:\n  customers: {{source: '{remote.source}'}}\n"
    )
    remote.proxy.hook = echo
    options = ["--catalog", tmp_path, "--cache-dir", cache_dir]

    shown = ""
    for command in (
        ["doctor"],
        ["fetch", "customers"],
        ["status"],
        ["--json", "show", "customers"],
    ):
        program = "from datacachalog.cli.main import main; main()"
        debug = {"DATACACHALOG_DEBUG": "1"}
        shown += "".join(
            started(program, *options, *command, environ=debug).communicate(timeout=60)
        )

    assert "InvalidToken" in shown
    assert [] == [canary for canary in CANARIES[1:] if canary in shown]


def test_what_a_debugger_shows_of_settings_has_no_secret(remote, monkeypatch):
    environ = {
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_SESSION_TOKEN": TOKEN,
    }

    shown = f"{StorageSettings(environ=environ)} {connection(StorageOptions(), environ)}"

    assert [] == [canary for canary in CANARIES if canary in shown]


def _all_that_is_shown(catalog: Catalog, file: Path) -> str:
    """What can be seen of a catalog and of its errors, of as many calls as there are."""
    shown = ""
    for act in (
        lambda: catalog.fetch("customers"),
        lambda: catalog.fetch("customers", version="some"),
        catalog.fetch_all,
        lambda: catalog.versions("customers"),
        catalog.status,
        lambda: catalog.push("customers", file),
        lambda: catalog.push("customers", file, expect="any"),
        lambda: catalog.storage.identity(catalog["customers"].source),
        lambda: list(catalog.storage.walk(catalog["customers"].source)),
    ):
        with suppress(DatacachalogError):
            try:
                shown += repr(act())
            except DatacachalogError as error:
                shown += _told(error)
                raise
    return shown + f"{catalog} {catalog!r} {pickle.dumps(catalog)!r}"


def _told(error: DatacachalogError) -> str:
    """Everything that a log or a tracker of errors could keep of one."""
    told = "".join(traceback.format_exception(error))
    return f"{told} {error!r} {error.hint} {vars(error)} {pickle.dumps(error)!r}"

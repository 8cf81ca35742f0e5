"""A store that speaks TLS, whose certificate is signed by an authority of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from datacachalog import Catalog, Dataset, StaleWarning, StorageUnavailableError
from datacachalog.testing.payloads import payload, seed_of
from tests.integration.support import BIG, SMALL, Remote
from tests.servers.certificates import Authority
from tests.servers.counting import CountingProxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from tests.servers.seaweedfs import SeaweedFS


@pytest.fixture
def remote(
    seaweedfs: SeaweedFS,
    authority: Authority,
    use_environment: Callable[[Mapping[str, str]], None],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Remote]:
    """An object behind TLS; nobody has been told whom to trust."""
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    client = seaweedfs.client()
    with CountingProxy(seaweedfs.endpoint, authority.context) as proxy:
        use_environment(seaweedfs.environment(endpoint=proxy.endpoint))
        yield Remote(seaweedfs, proxy, client, seaweedfs.bucket(versioned=True))
    client.close()


@pytest.fixture(params=["SSL_CERT_FILE", "AWS_CA_BUNDLE", "both", "a profile"])
def trusting(
    remote: Remote,
    request: pytest.FixtureRequest,
    authority: Authority,
    tmp_path: Path,
    use_environment: Callable[[Mapping[str, str]], None],
) -> Remote:
    """An object behind TLS, for those who were told in one way or another whom to trust."""
    how, file = request.param, str(authority.file)
    if how == "a profile":
        (tmp_path / "config").write_text(f"[default]\nca_bundle = {file}\n", encoding="utf-8")
        use_environment({"AWS_CONFIG_FILE": str(tmp_path / "config")})
    else:
        names = ["SSL_CERT_FILE", "AWS_CA_BUNDLE"] if how == "both" else [how]
        use_environment(dict.fromkeys(names, file))
    return remote


@pytest.fixture
def new(tmp_path: Path) -> Path:
    """A file that is to be pushed: payload 3."""
    (tmp_path / "new").write_bytes(payload(3, SMALL))
    return tmp_path / "new"


def test_whoever_is_told_whom_to_trust_reads_and_writes(trusting, cache_dir, new):
    remote = trusting
    remote.put(1)
    remote.client.put_object(Bucket=remote.bucket, Key="big", Body=payload(2, BIG))
    datasets = [Dataset("customers", remote.source), Dataset("big", f"s3://{remote.bucket}/big")]
    catalog = Catalog(datasets, cache_dir=cache_dir)

    got = [seed_of(path.read_bytes()) for path in catalog.fetch_all().values()]
    catalog.push("customers", new)

    assert ([1, 2], 3) == (got, remote.seed())
    assert 2 == len(list(catalog.versions("customers")))
    # The store was asked for the checksum of what is large, by whichever client read it.
    assert "HEAD" in [one.method for one in remote.proxy.requests if one.path.endswith("big")]


def test_whoever_is_not_is_told_how(remote, catalog, new):
    remote.put(1)

    wanted = "its certificate is not trusted; AWS_CA_BUNDLE or SSL_CERT_FILE may name whom to trust"
    assert [wanted] * 2 == _told(catalog, new)


@pytest.mark.parametrize(
    ("server", "detail"),
    [
        ({"address": "127.0.0.2"}, "its certificate is another host's"),
        ({"days": 6}, "its certificate has expired"),
    ],
    ids=["of another host", "expired"],
)
def test_what_no_trust_can_help_is_told_apart(
    remote, cache_dir, new, tmp_path, use_environment, server, detail
):
    other = Authority(tmp_path, **server)
    with CountingProxy(remote.server.endpoint, other.context) as proxy:
        use_environment({"AWS_ENDPOINT_URL": proxy.endpoint, "SSL_CERT_FILE": str(other.file)})

        assert [detail] * 2 == _told(remote.catalog(cache_dir), new)


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "AWS_CA_BUNDLE"])
def test_a_file_without_certificates_is_told(remote, cache_dir, new, use_environment, name):
    use_environment({name: str(new)})

    # obstore takes a file without any for one that does not have this one.
    assert [detail for detail in _told(remote.catalog(cache_dir), new) if "AWS_CA_BUNDLE" in detail]


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "AWS_CA_BUNDLE"])
def test_a_file_that_is_not_there_is_named(remote, cache_dir, new, use_environment, name):
    use_environment({name: "/nowhere"})

    wanted = "'/nowhere' is not there, which AWS_CA_BUNDLE or SSL_CERT_FILE names"
    assert [wanted] * 2 == _told(remote.catalog(cache_dir), new)


def test_no_variable_turns_checks_off(remote, cache_dir, new, use_environment, monkeypatch):
    monkeypatch.setattr("datacachalog.adapters.storage.s3_boto._SYSTEM_CA_BUNDLES", ())
    use_environment({"AWS_CA_BUNDLE": "", "REQUESTS_CA_BUNDLE": ""})

    assert ["its certificate is not trusted"] * 2 == [
        detail.partition(";")[0] for detail in _told(remote.catalog(cache_dir), new)
    ]


def test_what_is_cached_is_served_all_the_same(remote, cache_dir, authority, use_environment):
    remote.put(1)
    use_environment({"SSL_CERT_FILE": str(authority.file)})
    path = remote.catalog(cache_dir).fetch("customers")
    use_environment({"SSL_CERT_FILE": "/nowhere"})

    with pytest.warns(StaleWarning, match="'/nowhere' is not there"):
        assert path == remote.catalog(cache_dir).fetch("customers")


def _told(catalog: Catalog, new: Path) -> list[str]:
    """What is wrong, as who reads is told, and who writes."""
    with pytest.raises(StorageUnavailableError) as reading:
        catalog.fetch("customers")
    with pytest.raises(StorageUnavailableError) as writing:
        catalog.push("customers", new, expect="any")
    return [reading.value.detail, writing.value.detail]

"""A store that speaks TLS, whose certificate is signed by an authority of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from datacachalog import Catalog, Dataset, StorageUnavailableError
from datacachalog.testing.payloads import payload, seed_of
from tests.integration.support import BIG, SMALL, Remote
from tests.servers.counting import CountingProxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from tests.servers.certificates import Authority
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


def test_whoever_is_told_whom_to_trust_reads_and_writes(trusting, cache_dir, tmp_path):
    remote = trusting
    remote.put(1)
    remote.client.put_object(Bucket=remote.bucket, Key="big", Body=payload(2, BIG))
    datasets = [Dataset("customers", remote.source), Dataset("big", f"s3://{remote.bucket}/big")]
    catalog = Catalog(datasets, cache_dir=cache_dir)
    (tmp_path / "new").write_bytes(payload(3, SMALL))

    got = [seed_of(path.read_bytes()) for path in catalog.fetch_all().values()]
    catalog.push("customers", tmp_path / "new")

    assert ([1, 2], 3) == (got, remote.seed())
    assert 2 == len(list(catalog.versions("customers")))
    # The store was asked for the checksum of what is large, by whichever client read it.
    assert "HEAD" in [one.method for one in remote.proxy.requests if one.path.endswith("big")]


def test_whoever_is_not_is_told_how(remote, catalog, tmp_path):
    remote.put(1)
    (tmp_path / "new").write_bytes(payload(3, SMALL))

    with pytest.raises(StorageUnavailableError, match="not trusted; SSL_CERT_FILE may name"):
        catalog.fetch("customers")
    with pytest.raises(StorageUnavailableError, match="not trusted; SSL_CERT_FILE may name"):
        catalog.push("customers", tmp_path / "new", expect="any")

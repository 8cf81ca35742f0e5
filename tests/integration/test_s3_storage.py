"""The storage contract on real S3 servers, through every decorator that a catalog uses."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from datacachalog.adapters.storage.object_store import _Runtime
from datacachalog.adapters.storage.registry import StorageSettings, storage_of
from datacachalog.domain.errors import InvalidUriError
from datacachalog.domain.uri import Uri
from datacachalog.testing.place import Place
from datacachalog.testing.storage_contract import StorageContract

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

    from tests.servers.s3 import S3Server


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory):
    return tmp_path_factory.mktemp("verdicts")


@pytest.fixture(scope="module")
def shared():
    """Gives a client of a server, and the one bucket there that keeps versions or does not."""
    with ExitStack() as stack:
        clients: dict[str, S3Client] = {}
        buckets: dict[tuple[str, bool], str] = {}

        def of(server: S3Server, versioned: bool) -> tuple[S3Client, str]:
            if server.endpoint not in clients:
                clients[server.endpoint] = server.client()
                stack.callback(clients[server.endpoint].close)
            key = (server.endpoint, versioned)
            buckets[key] = buckets.get(key) or server.bucket(versioned=versioned)
            return clients[server.endpoint], buckets[key]

        yield of


class S3Contract(StorageContract):
    """What differs between servers: which one it is, and whether its bucket keeps versions."""

    versioned = False
    renames: frozenset[str] = frozenset()

    @pytest.fixture
    def server(self):
        raise NotImplementedError

    @pytest.fixture
    def storage(self, server, verdicts):
        return storage_of(StorageSettings(environ=server.environment(), verdicts=verdicts))

    @pytest.fixture
    def place(self, server, storage, tmp_path, shared):
        """A folder of its own, in a bucket that is tried once."""
        client, bucket = shared(server, self.versioned)
        return Place(
            storage,
            Uri("s3", bucket, f"contract/{os.urandom(6).hex()}"),
            tmp_path / "scratch",
            versioned=self.versioned,
            renames=self.renames,
            missing_bucket=Uri("s3", "there-is-no-such-bucket", "a.csv"),
            put=lambda uri, data: self.put(client, uri, data),
            delete=lambda uri: self.delete(client, uri),
        )

    def put(self, client, uri, data):
        client.put_object(Bucket=uri.authority, Key=uri.path, Body=data)

    def delete(self, client, uri):
        client.delete_object(Bucket=uri.authority, Key=uri.path)


class TestS3StorageOnSeaweedFS(S3Contract):
    renames = frozenset({"back\\slash"})  # SeaweedFS takes a backslash for a slash

    @pytest.fixture
    def server(self, seaweedfs):
        return seaweedfs


class TestS3StorageOnAVersionedBucketOfSeaweedFS(TestS3StorageOnSeaweedFS):
    versioned = True


class TestS3StorageOnMoto(S3Contract):
    # One request still takes it: moto does not heed the condition of a multipart upload.
    big_bytes = 12 * 1024 * 1024 + 7

    @pytest.fixture
    def server(self, moto_s3):
        return moto_s3

    @pytest.mark.parametrize("key", ["/k", "k/", "a//k", "/"])
    def test_a_key_that_some_clients_take_for_another_is_refused(self, storage, place, key):
        """obstore asks for `k` where it is told `/k`: it would read and replace another object."""
        bucket = place.uri("").authority
        odd = Uri("s3", bucket, key)
        storage.upload(place.file(b"the other one"), Uri("s3", bucket, "k"))

        for act in (
            lambda: storage.stat(odd),
            lambda: storage.read(odd, 0, 9),
            lambda: storage.download(odd, place.scratch / "dest"),
            lambda: storage.upload(place.file(b"mine"), odd),
            lambda: list(storage.versions(odd)),
        ):
            with pytest.raises(InvalidUriError):
                act()

        assert b"the other one" == storage.read(Uri("s3", bucket, "k"), 0, 99)


class TestS3StorageOnAVersionedBucketOfMoto(TestS3StorageOnMoto):
    versioned = True

    def delete(self, client, uri):
        """Deletes in a second of its own: moto lists all markers after all versions, and only
        their times tell which came first."""
        time.sleep(1.1)
        super().delete(client, uri)
        time.sleep(1.1)


class TestS3StorageInAForkedProcess(S3Contract):
    """What a fork of a process that has used obstore does: everything through boto3."""

    @pytest.fixture
    def server(self, seaweedfs):
        return seaweedfs

    renames = TestS3StorageOnSeaweedFS.renames

    @pytest.fixture(autouse=True)
    def forked(self, monkeypatch):
        monkeypatch.setattr(_Runtime, "process", 1)

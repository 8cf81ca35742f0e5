"""What every S3 server of the tests can do: start, give clients and buckets, stop."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from tests.servers.processes import ServerDidNotStartError

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

    from mypy_boto3_s3 import S3Client

    from tests.servers.processes import ServerProcess

_ATTEMPTS = 3
_START_TIMEOUT_S = 60


class S3Server:
    """A running server, alone with its data. Subclasses say how `_launch` starts one."""

    region = "us-east-1"
    secret_key = "test-secret-key"

    def __init__(self, process: ServerProcess, port: int, access_key: str) -> None:
        self._process = process
        self.port = port
        self.access_key = access_key
        self._client = self.client()

    @classmethod
    def start(cls, folder: Path) -> Self:
        """A server that answers, with its data and its log inside `folder`.

        It is tried again on other ports where another process took one first.

        Raises:
            ServerDidNotStartError: it gave up, or did not answer in time, several times over.
        """
        problems: list[str] = []
        for attempt in range(_ATTEMPTS):
            data = folder / f"{cls.__name__.lower()}-{attempt}"
            data.mkdir(parents=True)
            try:
                server = cls._launch(data, f"test-key-{uuid.uuid4().hex[:16]}")
                server._wait_until_ready(time.monotonic() + _START_TIMEOUT_S)
            except ServerDidNotStartError as error:
                problems.append(str(error))
            else:
                return server
        raise ServerDidNotStartError("\n\n".join(problems))

    @classmethod
    def _launch(cls, data: Path, access_key: str) -> Self:
        raise NotImplementedError

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        return self._process.pid

    def environment(self, *, endpoint: str | None = None) -> dict[str, str]:
        """The variables that make S3 clients in child processes use this server.

        `endpoint` stands in for the server's own, such as that of a proxy before it.
        """
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_ENDPOINT_URL": endpoint or self.endpoint,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def client(self, *, endpoint: str | None = None) -> S3Client:
        """A boto3 client that tries everything once."""
        return boto3.client(
            "s3",
            endpoint_url=endpoint or self.endpoint,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name=self.region,
            config=Config(
                connect_timeout=5,
                retries={"total_max_attempts": 1},
                s3={"addressing_style": "path"},
            ),
        )

    def bucket(self, *, versioned: bool = False) -> str:
        """The name of a new, empty bucket."""
        name = f"bucket-{uuid.uuid4().hex[:16]}"
        self._client.create_bucket(Bucket=name)
        if versioned:
            self._client.put_bucket_versioning(
                Bucket=name, VersioningConfiguration={"Status": "Enabled"}
            )
        return name

    def stop(self) -> None:
        """Ends the server; may be called again."""
        self._client.close()
        self._process.stop()

    def _wait_until_ready(self, deadline: float) -> None:
        """Returns when it keeps an object, which takes this server's own key, and all its parts."""
        try:
            while not self._keeps_an_object(deadline):
                time.sleep(0.05)
        except BaseException:
            self.stop()
            raise

    def _keeps_an_object(self, deadline: float) -> bool:
        if self._process.ended():
            raise ServerDidNotStartError(f"the server ended:\n{self._process.log_tail()}")
        try:
            self._client.put_object(Bucket=self.bucket(), Key="first", Body=b"first")
        except (BotoCoreError, ClientError, OSError) as error:
            if time.monotonic() > deadline:
                tail = self._process.log_tail()
                raise ServerDidNotStartError(f"no answer in time: {error}\n{tail}") from error
            return False
        return True

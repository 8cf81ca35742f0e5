"""moto: a fake of S3 that keeps versions and takes objects of any name.

Its requests happen one at a time, so it shows no races; SeaweedFS does.
"""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.servers.processes import ServerDidNotStartError, ServerProcess
from tests.servers.s3 import S3Server

if TYPE_CHECKING:
    from typing import Self


_SCRIPT = Path(__file__).with_name("serialised_moto.py")
_ADDRESS = re.compile(r"Running on http://127\.0\.0\.1:(\d+)")


class MotoServer(S3Server):
    """A running fake that accepts any credentials.

    It ignores `If-Match` where a multipart upload is completed (moto 5.2).
    """

    @classmethod
    def _launch(cls, data: Path, access_key: str) -> Self:
        command = [sys.executable, "-P", str(_SCRIPT)]  # beside it is another moto.py
        process = ServerProcess(
            command, folder=data, environment={"HOME": str(data)}, log=data / "log.txt"
        )
        while not (found := _ADDRESS.search(process.log_tail())):
            if process.ended():
                raise ServerDidNotStartError(f"moto ended:\n{process.log_tail()}")
            time.sleep(0.02)
        return cls(process, int(found[1]), access_key)

"""`datlake` and `datalake-cli` as processes, as somebody types them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

SCRIPTS = Path(sys.executable).parent


class Typed(NamedTuple):
    """A command that has ended, and what it wrote."""

    code: int
    stdout: str
    stderr: str

    def lines(self) -> list[str]:
        """What it printed, where all went well."""
        assert self.code == 0, self
        return self.stdout.splitlines()

    def json(self) -> Any:
        """The same, as JSON."""
        assert self.code == 0, self
        return json.loads(self.stdout)


def typed(*args: str, program: str = "datlake", stdin: str = "", **environ: str) -> Typed:
    """Runs a command with pipes, and waits for its end."""
    done = subprocess.run(
        [str(SCRIPTS / program), *args],
        env={**os.environ, **environ},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    return Typed(done.returncode, done.stdout, done.stderr)

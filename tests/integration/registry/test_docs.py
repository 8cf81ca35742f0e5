"""What the page on runs types does what it says, on a real server."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.integration.registry.test_serving import Server
from tests.pages import _assert_matches, _steps, blocks_of

MARK = "\x1e"


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_the_examples_of_the_page_on_runs_work(settings, tmp_path):
    server = Server(["--data-dir", str(settings.data_dir)], tmp_path)
    try:
        objects = settings.data_dir / "objects"
        for name in ("raw", "curated"):
            (objects / f"{name}.csv").write_text("id\n1\n")
        server.ask("/api/v1/jobs/register-snapshot", csv("users_raw", objects / "raw.csv"))
        run_page(server, OUT=(objects / "curated.csv").as_uri())
    finally:
        server.process.kill()
        server.process.wait()


def csv(table, file):
    return {"table_name": table, "uri": file.as_uri(), "format": "csv"}


SETTLED = r"""
settled() {
  while curl -s "${REGISTRY%/api/v1}/metrics" -H "Authorization: Bearer $KEY" |
    grep -qE '^datlake_tasks.*status="(queued|running)"} [1-9]'; do sleep 0.05; done
}
"""


def run_page(server, **environ):
    blocks = blocks_of("docs/how-to/runs.md")
    steps = [(block, *one) for block in blocks for one in _steps(block.text)]
    # The address and the key are those of this test; a registration takes its time.
    script = SETTLED + "\n".join(
        f"{command}\nprintf '\\036'; settled"
        for _, command, _ in steps
        if not command.startswith("export ")
    )
    known = {"REGISTRY": f"http://127.0.0.1:{server.port}/api/v1", "KEY": server.key}
    done = subprocess.run(
        ["bash", "-c", script.replace('\\"parquet\\"', '\\"csv\\"')],
        env=os.environ | known | environ,
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    shown = done.stdout.split(MARK)
    for (block, command, expected), printed in zip(steps[1:], shown, strict=False):
        if expected:
            _assert_matches(block, command, expected, f"{printed}\n")
    assert len(steps) == len(shown)

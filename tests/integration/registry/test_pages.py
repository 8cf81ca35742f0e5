"""The pages about the registry are true: what they type is typed, at a registry of this test."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.pages import Sandbox, blocks_of, pages
from tests.servers.processes import HeldPorts

DATLAKE = str(Path(sys.executable).with_name("datlake"))
FOUND = [block for page in pages() for block in blocks_of(page) if "needs-registry" in block.marks]


@pytest.fixture
def sandbox(tmp_path, monkeypatch, use_environment):
    """A home folder with a registry in `~/lake`; the settings of the SDK name it, and `KEY`."""
    made, ports = Sandbox(tmp_path), HeldPorts(1)
    (port,) = ports
    log = tmp_path / "serve.txt"
    command = [DATLAKE, "--data-dir", str(made.home / "lake"), "serve", "--port", str(port)]
    use_environment({**made.environ(), "PORT": str(port)})
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    deadline = time.monotonic() + 60
    while "Uvicorn running" not in log.read_text():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    key = re.search(r"dlk_\S+", log.read_text())
    assert key is not None
    monkeypatch.setenv("KEY", key[0])
    settings = made.home / ".datlake" / "config.ini"
    settings.parent.mkdir(mode=0o700)
    settings.write_text(f"[datlake]\napi_url = http://127.0.0.1:{port}\napi_key = {key[0]}\n")
    settings.chmod(0o600)
    monkeypatch.chdir(made.shop)
    yield made
    process.terminate()
    process.wait(60)


@pytest.mark.skipif(not (shutil.which("curl") and shutil.which("jq")), reason="no curl or no jq")
@pytest.mark.parametrize("page", sorted({block.page for block in FOUND}))
def test_the_examples_of_a_page_run(page, sandbox):
    for block in [one for one in FOUND if one.page == page]:
        text = block.text.replace("localhost:8000", f"127.0.0.1:{os.environ['PORT']}")
        sandbox.run(dataclasses.replace(block, text=text))

"""The `datlake` command, where what it needs is not there."""

from __future__ import annotations

import subprocess
import sys

import pytest

_WITHOUT = """
import sys
sys.modules[{module!r}] = None
sys.argv = ["datlake", *{args!r}]
from datacachalog.cli.main import datlake
datlake()
"""


def run(*args, without="sqlalchemy"):
    script = _WITHOUT.format(module=without, args=args)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("module", ["sqlalchemy", "fastapi", "uvicorn", "pydantic_settings"])
def test_without_the_extra_it_says_how_to_get_it(module):
    code, told = run("serve", without=module)

    assert 2 == code, told
    assert module in told
    assert "pip install 'datacachalog[server]'" in told


def test_its_help_needs_nothing():
    code, told = run("--help")

    assert 0 == code
    assert "serve" in told


def test_without_a_command_it_shows_what_there_is():
    code, told = run()

    assert 2 == code
    assert "serve" in told

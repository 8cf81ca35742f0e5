"""What is needed to import the contracts."""

from __future__ import annotations

import subprocess
import sys


def test_whoever_has_no_pytest_is_told_to_install_it():
    code = "import sys; sys.modules['pytest'] = None; import datacachalog.testing"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )

    assert (
        "ModuleNotFoundError: datacachalog.testing needs pytest: pip install pytest"
        == done.stderr.splitlines()[-1]
    )

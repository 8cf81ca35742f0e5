"""What type checkers infer: mypy checks `chain_typed.py` with everything else, pyright here."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CHAIN = Path(__file__).with_name("chain_typed.py")
PYRIGHT = Path(sys.executable).with_name("pyright")


def checked(file: Path, *, home: Path) -> subprocess.CompletedProcess[str]:
    """What pyright has to say of a file. Its wheel has all it needs: no network is asked."""
    return subprocess.run(
        [PYRIGHT, "--pythonpath", sys.executable, file],
        env={"PATH": os.environ["PATH"], "HOME": str(home), "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )


@pytest.mark.skipif(not PYRIGHT.exists(), reason="pyright is not installed")
def test_pyright_knows_every_type_of_a_pipeline(tmp_path):
    done = checked(CHAIN, home=tmp_path)

    assert 0 == done.returncode, done.stdout + done.stderr
    assert "0 errors" in done.stdout


@pytest.mark.skipif(not PYRIGHT.exists(), reason="pyright is not installed")
def test_pyright_would_say_so_if_it_did_not(tmp_path):
    wrong = tmp_path / "wrong.py"
    wrong.write_text(
        CHAIN.read_text().replace("assert_type(r2, Result[str,", "assert_type(r2, Result[int,")
    )

    done = checked(wrong, home=tmp_path)

    assert 1 == done.returncode
    assert '"assert_type" mismatch' in done.stdout
    assert "1 error," in done.stdout

"""What people could do on purpose, where no other test tries it."""

from __future__ import annotations

import ast
import importlib
import re
from importlib.metadata import requires
from pathlib import Path

import datacachalog

SOURCE = Path(datacachalog.__file__).parent
THAT_RUN = {"pickle", "marshal", "shelve", "dill", "cloudpickle"}
CALLS_THAT_RUN = {"eval", "exec", "compile", "__import__"}


def test_t06_nothing_is_read_that_could_run():
    """Neither records nor catalogs: no module that makes objects of bytes is used."""
    for module in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(module.read_text())):
            match node:
                case ast.Import(names=names):
                    assert THAT_RUN.isdisjoint(name.name for name in names), module
                case ast.ImportFrom(module=name):
                    assert name not in THAT_RUN, module
                case ast.Call(func=ast.Name(id=name)):
                    assert name not in CALLS_THAT_RUN, module


def test_t18_what_is_native_has_a_floor():
    """Versions are bounded from below, and what is not stable yet from above too."""
    needed = {
        re.split(r"[ <>=\[]", line)[0]: line for line in requires("datacachalog") or () if line
    }

    assert "obstore" in needed
    assert all(">=" in line for line in needed.values()), needed
    assert ",<0." in needed["obstore"] or "<0.13" in needed["obstore"]
    assert importlib.import_module("obstore")

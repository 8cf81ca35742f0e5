"""The shape of the house: its floors, the size of its rooms, and where things may be imported."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import datacachalog

SOURCE = Path(datacachalog.__file__).parent
PROJECT = SOURCE.parents[1]
MODULES = sorted(SOURCE.rglob("*.py"))
MOST_LINES_OF_A_MODULE, MOST_LINES_OF_A_FUNCTION = 400, 30
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)

every_module = pytest.mark.parametrize(
    "module", MODULES, ids=[str(module.relative_to(SOURCE)) for module in MODULES]
)


@cache
def parsed(module):
    return ast.parse(module.read_text(encoding="utf-8"))


def functions_of(module):
    return [node for node in ast.walk(parsed(module)) if isinstance(node, FUNCTIONS)]


def lines_of(function):
    """How many lines a function has, without its docstring and what decorates it."""
    body = function.body
    if ast.get_docstring(function) is not None:
        body = body[1:]
    if not body:
        return 0
    head = function.body[0].lineno - function.lineno
    return head + body[-1].end_lineno - body[0].lineno + 1


@pytest.mark.skipif(not (PROJECT / "pyproject.toml").exists(), reason="not a checkout")
def test_arrows_point_to_the_domain():
    done = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert 0 == done.returncode, done.stdout
    assert "0 broken" in done.stdout


@every_module
def test_a_module_is_short(module):
    assert len(module.read_text(encoding="utf-8").splitlines()) <= MOST_LINES_OF_A_MODULE


@every_module
def test_functions_are_short(module):
    if module.parent.name == "versions":
        pytest.skip("a migration lists columns")
    sizes = {function.name: lines_of(function) for function in functions_of(module)}

    assert {} == {name: size for name, size in sizes.items() if size > MOST_LINES_OF_A_FUNCTION}


@every_module
def test_nothing_is_imported_inside_a_function(module):
    inside = [
        f"{function.name}:{node.lineno}"
        for function in functions_of(module)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]

    assert [] == inside


@every_module
def test_a_module_says_what_it_is_for(module):
    assert ast.get_docstring(parsed(module))


@every_module
def test_nothing_catches_every_exception_silently(module):
    """`except BaseException` that raises again, or keeps the error for another thread, may be."""
    silent = [
        node.lineno
        for node in ast.walk(parsed(module))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or ast.unparse(node.type) in {"Exception", "BaseException"})
        and node.name is None
        and not any(isinstance(inner, ast.Raise) for inner in ast.walk(node))
    ]

    assert [] == silent


@pytest.mark.parametrize("name", datacachalog.__all__)
def test_a_public_name_is_explained(name):
    assert inspect.getdoc(getattr(datacachalog, name))

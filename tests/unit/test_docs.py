"""The documentation is true: its examples run, and nothing that exists is missing in it."""

from __future__ import annotations

import doctest
import importlib
import inspect
import os
import pkgutil
import re
import subprocess
import sys
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

import datacachalog
import datlake_sdk
from datacachalog import Catalog, DatacachalogError, FetchAllError
from datacachalog.adapters.api.metadata import MetadataCache
from datacachalog.adapters.api.settings import VARIABLES, ApiSettings, Retry
from datacachalog.cli.app import app
from datacachalog.cli.datlake_app import ASKING as DATLAKE_COMMANDS
from datacachalog.cli.datlake_app import app as datlake_app
from datacachalog.cli.exits import ExitCode, UsageError, exit_code
from datacachalog.domain import errors
from datacachalog.domain.registry import Snapshot
from datacachalog.manifest import format as manifest_format
from datacachalog.ports import CachePort, ProgressPort, StoragePort, ViewPort
from datacachalog.sdk import records
from datlake_sdk import DatlakeClient, JobContext, functional
from tests.faults.catalogue import CASES, table
from tests.pages import LANGUAGES, MARKS, ROOT, Sandbox, blocks_of, pages, run_page, text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

SETUP = "python -m pip install --quiet uv && python -m uv run "
README_COMMANDS = [f"{SETUP}--no-dev catalog fetch customers", f"{SETUP}pytest -n 4"]
BLOCKS = [block for page in pages() for block in blocks_of(page)]
NEEDED = sorted({needed for block in BLOCKS if (needed := block.value("needs"))})
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(datacachalog.__path__, "datacachalog.")
    if not module.name.endswith("__main__")
)
DECISIONS = sorted(page for page in pages() if re.search(r"/adr/\d{4}-", page))
TESTS_IN_TEXT = re.compile(r"`((?:tests|src)/[\w/]+\.py::test_\w+)`")
HEADINGS = ["Context", "Options", "Decision", "Negative consequences"]


@pytest.fixture
def sandbox(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    use_environment: Callable[[Mapping[str, str]], None],
) -> Sandbox:
    """A home folder with the sample catalog, which is where this process is now."""
    made = Sandbox(tmp_path)
    use_environment(made.environ())
    monkeypatch.chdir(made.shop)
    monkeypatch.syspath_prepend(str(made.shop))
    return made


# --- the examples run


@pytest.mark.parametrize("page", pages())
def test_the_examples_of_a_page_run(page, sandbox):
    run_page(page, sandbox, with_s3=False)


def test_the_quickstart_works_in_a_folder_of_its_own(sandbox):
    before = {path: path.read_bytes() for path in sandbox.shop.rglob("*") if path.is_file()}

    run_page("docs/quickstart.md", sandbox, with_s3=False)

    found = {path: path.read_bytes() for path in sandbox.shop.rglob("*") if path.is_file()}
    assert before == found
    assert {".cache", "Library", "shop"} >= {path.name for path in sandbox.home.iterdir()}


@pytest.mark.parametrize("module", NEEDED)
def test_the_examples_that_need_a_library_run(module, sandbox):
    for page in pages():
        if any(block.value("needs") == module for block in blocks_of(page)):
            run_page(page, sandbox, with_s3=False)


def test_fences_have_a_language_and_marks_that_are_known():
    odd = [
        str(block)
        for block in BLOCKS
        if block.language not in LANGUAGES
        or not {mark.partition("=")[0] for mark in block.marks} <= MARKS
    ]

    assert [] == odd


def test_what_is_not_run_here_is_python_too():
    for block in BLOCKS:
        if block.language == "python":
            compile(block.text, str(block), "exec")


@pytest.mark.parametrize("name", ["fetch", "fetch_all", "push"])
def test_an_example_file_runs(name, tmp_path):
    done = ran_example(f"{name}.py", DATACACHALOG_CACHE_DIR=str(tmp_path))

    assert (0, "") == (done.returncode, done.stderr)
    assert done.stdout


def test_the_example_that_needs_a_server_says_so():
    done = ran_example("versions.py")

    assert 1 == done.returncode
    assert "AWS_ENDPOINT_URL" in done.stderr


@pytest.mark.parametrize("file", sorted(path.name for path in (ROOT / "examples").glob("*.py")))
def test_an_example_file_is_listed(file):
    assert f"examples/{file}" in text_of("examples/README.md")


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_a_module_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("DATACACHALOG_CACHE_DIR", str(tmp_path))
    module = importlib.import_module(name)

    failed, _ = doctest.testmod(module, optionflags=doctest.ELLIPSIS)

    assert 0 == failed


def test_every_promise_names_tests_that_are_there():
    """A paragraph of the promises begins with its words in bold."""
    promised, _, rest = text_of("docs/concepts/guarantees.md").partition("## Which tests keep them")
    named = TESTS_IN_TEXT.findall(rest)

    assert len(named) >= len(re.findall(r"^\*\*", promised, re.MULTILINE)) > 10
    for test in named:
        assert_is_there(test)


def test_every_fault_has_tests_that_are_there_or_a_reason():
    numbers = [f"F{n:02}" for n in range(1, 55)] + [f"T{n:02}" for n in range(1, 23)]

    assert numbers == list(CASES)
    assert [] == [name for name, case in CASES.items() if not case.tests and not case.unless]
    for case in CASES.values():
        for test in case.tests:
            assert_is_there(test)


def test_every_test_of_a_fault_is_in_the_list_of_faults():
    for file in (ROOT / "tests" / "faults").glob("test_*.py"):
        for test in re.findall(r"^def (test_\w+)", file.read_text(), re.MULTILINE):
            named = re.match(r"test_([ft]\d\d)_", test)
            assert named, f"{file}::{test} does not say what it is for"
            assert f"tests/faults/{file.name}::{test}" in CASES[named[1].upper()].tests


def test_the_list_of_faults_is_shown():
    assert text_of("docs/concepts/faults.md").endswith(f"\n\n{table()}")


def assert_is_there(test: str) -> None:
    """Fails unless there is a test of that name, such as `tests/unit/test_x.py::test_y`."""
    file, _, name = test.partition("::")
    inside = file.removeprefix("src/datacachalog/")
    path = ROOT / file if inside == file else Path(datacachalog.__file__).parent / inside
    assert f"def {name}(" in path.read_text(), test


# --- the set-up commands


def test_the_readme_has_two_set_up_commands():
    commands = [block.text.strip() for block in blocks_of("README.md") if block.language == "sh"]

    assert README_COMMANDS == commands


@pytest.mark.skipif(not (ROOT / ".ci").exists(), reason="this is a source distribution")
def test_ci_runs_the_commands_of_the_readme():
    lines = text_of(".ci/run").splitlines()

    assert README_COMMANDS[1] == lines[-1]
    assert [line for line in lines if README_COMMANDS[0] in line]
    assert "- run: .ci/run" in text_of(".github/workflows/ci.yml")


# --- links lead somewhere


@pytest.mark.parametrize("page", [*pages(), "CHANGELOG.md", "examples/README.md"])
def test_links_of_a_page_lead_somewhere(page):
    broken = [link for link in links_of(page) if not leads_somewhere(page, link)]

    assert [] == broken


def test_every_page_is_reached_from_the_first_one():
    reached = {"docs/index.md"}
    waiting = ["docs/index.md"]
    while waiting:
        page = waiting.pop()
        found = {resolved(page, link) for link in links_of(page)} & set(pages()) - reached
        reached |= found
        waiting += found

    assert set(pages()) - reached <= {"README.md"}


# --- decisions


@pytest.mark.parametrize("page", DECISIONS)
def test_a_decision_is_one_page_with_its_costs(page):
    text = text_of(page)
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)

    assert [*HEADINGS, "How we would know it was wrong"] == headings
    assert len(text.splitlines()) <= 70
    assert re.search(r"^Accepted, \d{4}-\d\d-\d\d\.", text, re.MULTILINE)


def test_decisions_are_numbered_without_holes():
    numbers = [int(Path(page).name[:4]) for page in DECISIONS]

    assert list(range(1, len(numbers) + 1)) == numbers


# --- the reference is complete


def commands(group: click.Group, path: str) -> Iterator[tuple[str, click.Command]]:
    """Every command below a group, by what is typed to run it."""
    with click.Context(group) as ctx:
        for name in group.list_commands(ctx):
            command = group.get_command(ctx, name)
            assert command is not None
            yield f"{path} {name}", command
            if isinstance(command, click.Group):
                yield from commands(command, f"{path} {name}")


ASKING = {
    path: one
    for path, one in commands(datlake_app, "datlake")
    if path.split()[1] in DATLAKE_COMMANDS
}
COMMANDS = dict(commands(app, "catalog")) | ASKING


@pytest.mark.parametrize("path", COMMANDS)
def test_a_command_is_in_the_reference(path):
    section = section_of(path)

    for parameter in COMMANDS[path].params:
        if isinstance(parameter, click.Argument):
            assert (parameter.metavar or "") in section
        elif parameter.name not in {"as_json", "help"}:
            assert [] == [name for name in parameter.opts if f"`{name}" not in section]
            if isinstance(parameter.type, click.Choice):
                choices = [f"{parameter.opts[0]} {choice}" for choice in parameter.type.choices]
                assert [] == [choice for choice in choices if choice not in section]


def test_the_global_options_are_in_the_reference():
    text = text_of("docs/reference/command-line.md")
    found = [*app.params, *(one for one in datlake_app.params if one.name in {"url", "config"})]
    options = [name for parameter in found for name in parameter.opts]

    assert [] == [name for name in [*options, "--help", "-h"] if f"`{name}" not in text]


def test_the_reference_has_the_exit_codes_and_their_meaning():
    table = rows_of("docs/reference/command-line.md", "Exit codes")

    assert [(str(code.value), f"`{code.name}`") for code in ExitCode] == [
        (number, name) for number, name, _ in table
    ]


def test_the_reference_has_every_error_with_its_code_and_its_exit_code():
    told = {
        name.strip("`"): (code.strip("`"), number)
        for name, code, number, *_ in all_rows_of("docs/reference/errors.md")
    }

    assert {one.__name__: (one.code, exit_number(one)) for one in all_errors()} == told


def test_the_reference_has_every_variable():
    told = set(re.findall(r"`(_?[A-Z][A-Z0-9_]+)`", text_of("docs/reference/environment.md")))

    assert variables_in_the_code() - told == set()
    assert {name for name in told if "CATALOG" in name or "CACHALOG" in name} == {
        name for name in variables_in_the_code() if "CATALOG" in name or "CACHALOG" in name
    }


@pytest.mark.parametrize(
    ("heading", "section"),
    [
        ("Top level", manifest_format.CATALOG),
        ("`cache`", manifest_format._CACHE),
        ("`defaults`", manifest_format._DEFAULTS),
        ("`storage`", manifest_format.STORAGE_OPTIONS),
        ("`datasets`", manifest_format.DATASET),
    ],
)
def test_the_reference_has_every_key_of_the_catalog_file(heading, section):
    page = "docs/reference/catalog-yaml.md"
    refused = " ".join(" ".join(row) for row in rows_of(page, "Refused for now"))

    assert [f"`{key}`" for key in section.keys] == [key for key, *_ in rows_of(page, heading)]
    assert [] == [key for key in section.later if f"`{key}`" not in refused]


def test_the_decision_on_refused_keys_names_them():
    text = text_of("docs/adr/0010-refused-keys.md")
    sections = (
        manifest_format.CATALOG,
        manifest_format._CACHE,
        manifest_format._DEFAULTS,
        manifest_format.DATASET,
    )
    keys = [key for section in sections for key in section.later]

    assert [] == [key for key in keys if f"`{key}`" not in text]


def test_the_reference_has_every_public_name():
    text = text_of("docs/reference/python-api.md")
    methods = [name for name in dir(Catalog) if not name.startswith("_")]
    of_ports = [
        name
        for port in (StoragePort, CachePort, ViewPort, ProgressPort)
        for name in vars(port)
        if not name.startswith("_")
    ]

    assert [] == [name for name in datacachalog.__all__ if not re.search(rf"`{name}\b", text)]
    assert [] == [name for name in [*methods, *of_ports] if not re.search(rf"\b{name}\b", text)]


def parameters_of(text: str) -> list[str]:
    """The names of the parameters in a call such as `f(a, *, b=None, **c)`."""
    inside = text.partition("(")[2].rpartition(")")[0]
    named = [part.strip().partition("=")[0] for part in re.split(r",(?![^(]*\))", inside)]
    return [name for name in named if name and name != "*"]


def calls_of_the_sdk() -> dict[str, list[str]]:
    """What the reference of the SDK has in its first columns: calls, by heading and name."""
    found, section = {}, ""
    for line in text_of("docs/sdk/python.md").splitlines():
        if line.startswith("## "):
            section = line.removeprefix("## ").strip("`")
        if call := re.match(r"\| `((?:client\.cache\.)?(\w+)\(.*?\))` \|", line):
            found[f"{section}.{call[2]}"] = parameters_of(call[1])
    return found


@pytest.mark.parametrize(
    ("section", "kind"),
    [("DatlakeClient", DatlakeClient), ("JobContext", JobContext), ("The cache", MetadataCache)],
)
def test_the_reference_of_the_sdk_has_every_method(section, kind):
    told, text = calls_of_the_sdk(), text_of("docs/sdk/python.md")
    public = {name: one for name, one in inspect.getmembers(kind) if not name.startswith("_")}
    if kind is MetadataCache:
        public = {name: public[name] for name in ("held", "clear")}  # the others keep, and look up
    calls = {name: one for name, one in public.items() if callable(one)}

    for name, call in calls.items():
        parameters = [one for one in inspect.signature(call).parameters if one != "self"]
        assert (name, parameters) == (name, told.get(f"{section}.{name}"))
    assert [] == [name for name in public if f"`{name}" not in text and name not in calls]
    own = {name for name in told if name.startswith(f"{section}.")}
    makers = {f"{section}.{section}", f"{section}.current_job"}
    assert own <= {f"{section}.{name}" for name in calls} | makers


@pytest.mark.parametrize("name", functional.__all__)
def test_the_reference_of_the_sdk_has_every_function(name):
    one, text = getattr(functional, name), text_of("docs/sdk/python.md")

    if inspect.isfunction(one):
        parameters = [*inspect.signature(one).parameters]
        assert parameters == calls_of_the_sdk()[f"Functions.{name}"]
    else:
        assert f"`{name}" in text


@pytest.mark.parametrize("name", datlake_sdk.__all__)
def test_the_reference_of_the_sdk_has_every_name(name):
    assert f"`{name}" in text_of("docs/sdk/python.md")


def test_the_reference_of_the_sdk_has_every_record():
    kinds = [one for one in vars(records).values() if isinstance(one, type)]
    named = {one.__name__: one for one in (*kinds, Snapshot) if is_dataclass(one)}
    told = {
        row[0].strip("`"): re.findall(r"`(\w+)`", row[1].partition(";")[0])
        for row in rows(text_of("docs/sdk/python.md"))
        if row[0].strip("`") in named
    }

    assert {name: [one.name for one in fields(kind)] for name, kind in named.items()} == told


def test_the_reference_of_the_sdk_has_every_setting():
    text = text_of("docs/sdk/python.md").partition("## Configuration")[2].partition("\n## ")[0]
    told = {
        re.findall(r"`(\w+)`", row[0])[0]: (row[1].strip("`"), row[2])
        for row in rows(text)
        if row[1].startswith("`DATLAKE_")
    }

    assert VARIABLES == {name: variable for name, (variable, _) in told.items()}
    for one in fields(ApiSettings):
        default = getattr(ApiSettings(), one.name)
        if default is not None and one.name != "retry":
            shown = f"{default:g}" if isinstance(default, float) else str(default)
            assert f"`{shown.lower() if isinstance(default, bool) else shown}`" == told[one.name][1]
    assert Retry.parse(told["retry"][1].strip("`")) == Retry()


def ran_example(name: str, *args: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "examples" / name, *args],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def links_of(page: str) -> list[str]:
    text = re.sub(r"^```.*?^```$", "", text_of(page), flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"\]\(([^)\s]+)\)", text)


def resolved(page: str, link: str) -> str:
    file = link.partition("#")[0]
    target = (ROOT / page).parent / file if file else ROOT / page
    return os.path.relpath(target.resolve(), ROOT)


def leads_somewhere(page: str, link: str) -> bool:
    if link.startswith("https://"):
        return True
    target, anchor = resolved(page, link), link.partition("#")[2]
    if not (ROOT / target).exists():
        return False
    return not anchor or anchor in anchors_of(target)


def anchors_of(page: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", text_of(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def section_of(path: str) -> str:
    """What the reference says of a command; a group tells of its commands together."""
    text = text_of("docs/reference/command-line.md")
    group = " ".join(path.split()[:2])
    [section] = re.findall(rf"^## `{group}\b.*?(?=^## )", text, re.MULTILINE | re.DOTALL)
    assert path in section
    return str(section)


def rows_of(page: str, heading: str) -> list[list[str]]:
    """The rows of the table below a heading, without the table's own heading."""
    sections = re.split(r"^## ", text_of(page), flags=re.MULTILINE)
    [section] = [section for section in sections if section.startswith(f"{heading}\n")]
    return rows(section)


def all_rows_of(page: str) -> list[list[str]]:
    return [row for row in rows(text_of(page)) if row[0] != "error"]


def rows(text: str) -> list[list[str]]:
    lines = re.findall(r"^\| (.+) \|$", text, re.MULTILINE)
    table = [[cell.strip() for cell in line.split(" | ")] for line in lines]
    return [row for row in table if row[0] not in {"key", "code", "where"}]


def all_errors() -> list[type[DatacachalogError]]:
    ours = [one for one in vars(errors).values() if isinstance(one, type)]
    return [*(one for one in ours if issubclass(one, DatacachalogError)), UsageError]


def exit_number(kind: type[DatacachalogError]) -> str:
    if kind is FetchAllError:
        return "that of [the worst](command-line.md#exit-codes)"
    error = kind("odd") if issubclass(kind, errors.ApiError) else kind.__new__(kind)
    return str(exit_code(error).value)


def variables_in_the_code() -> set[str]:
    """The variables that any module asks for by name."""
    found: set[str] = set()
    for folder in datacachalog.__path__:
        for file in Path(folder).rglob("*.py"):
            text = file.read_text(encoding="utf-8")
            found |= set(re.findall(r'environ\w*(?:\.get\(|\[)"(\w+)"', text))
            found |= set(re.findall(r'"(_?(?:DATACACHALOG|CATALOG|AWS)_[A-Z_0-9]*[A-Z0-9])"', text))
    return found

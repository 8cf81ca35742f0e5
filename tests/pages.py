"""The examples in README.md and docs/: found, and run as a reader would run them.

A fence's first word is its language, the others are marks:

- `python` is executed, all blocks of a page in one namespace. `console` is typed into bash on a
  terminal: after `$ ` comes a command, which must succeed unless `echo $?` follows; below it what
  it prints, where `…` stands for anything. Later blocks are where its last `cd` went. `yaml` is a
  catalog, or a part of one. `text output` is what the Python block before it printed.
- `save=NAME` writes the block to a file of that name; a module is not executed besides.
- `needs=MODULE` needs a module that the tests do not install; `needs-s3` and `needs-registry` need
  a server.
- `wrong` is a catalog that is refused, `other` a block that is only read by people.
"""

from __future__ import annotations

import doctest
import importlib.util
import os
import pty
import re
import shutil
import subprocess
import sysconfig
import termios
import textwrap
import tomllib
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any, Final

from datacachalog import CatalogInvalidError, manifest

ROOT: Final = Path(__file__).parents[1]
MARKS: Final = frozenset(
    {"needs", "needs-registry", "needs-s3", "other", "output", "save", "wrong"}
)
LANGUAGES: Final = frozenset(
    {"console", "ini", "json", "python", "sh", "sql", "text", "toml", "yaml"}
)

_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<info>[^\n`]*)\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL
)
_COLUMNS = 300  # paths here are longer than those of a reader; no table may be cropped
_MARK = "\x1e"
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_MATCHES = doctest.OutputChecker().check_output
_LENIENT = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block of a page."""

    page: str
    line: int
    language: str
    marks: tuple[str, ...]
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    def value(self, mark: str) -> str | None:
        """What is behind the `=` of a mark, if the block has it."""
        return next((m.partition("=")[2] for m in self.marks if m.startswith(f"{mark}=")), None)


def pages() -> list[str]:
    """README.md and every page of the documentation, as paths from the root of the project."""
    found = sorted((ROOT / "docs").rglob("*.md"))
    return ["README.md", *(str(path.relative_to(ROOT)) for path in found)]


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks_of(page: str) -> list[Block]:
    """The fenced blocks of a page, in its order."""
    text, found = text_of(page), []
    for match in _FENCE.finditer(text):
        language, *marks = match["info"].split()
        line = text.count("\n", 0, match.start()) + 1
        found.append(Block(page, line, language, tuple(marks), textwrap.dedent(match["text"])))
    return found


def is_runnable(block: Block) -> bool:
    """Whether the module that the block needs is there, if it needs one."""
    needed = block.value("needs")
    return needed is None or importlib.util.find_spec(needed) is not None


class Sandbox:
    """A home folder with a copy of the sample catalog in `~/shop`, which is the current folder."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.home = root / "home" / "you"
        self.shop = self.home / "shop"
        self.shop.mkdir(parents=True)
        shutil.copy(ROOT / "catalog.yaml", self.shop)
        shutil.copytree(ROOT / "data", self.shop / "data")
        self._names: dict[str, Any] = {"__name__": "__main__"}
        self._printed = ""

    def environ(self) -> dict[str, str]:
        """The variables under which examples run."""
        return {
            "HOME": str(self.home),
            "XDG_CACHE_HOME": str(self.home / ".cache"),
            "AWS_CONFIG_FILE": str(self.home / ".aws" / "config"),
            "AWS_SHARED_CREDENTIALS_FILE": str(self.home / ".aws" / "credentials"),
            "PATH": f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}",
            "COLUMNS": str(_COLUMNS),
            "TERM": "dumb",
            "DATACACHALOG_PROGRESS": "0",
        }

    def run(self, block: Block) -> None:
        """Does with a block what a reader would, and compares what is said to come of it."""
        if name := block.value("save"):
            (self.shop / name).parent.mkdir(parents=True, exist_ok=True)
            (self.shop / name).write_text(block.text)
        if "other" in block.marks or not is_runnable(block):
            return
        match block.language:
            case "python" if block.value("save"):
                pass
            case "python":
                self._run_python(block)
            case "console":
                self._run_console(block)
            case "yaml":
                self._load(block)
            case "toml":
                self._install(block)
            case "text" if "output" in block.marks:
                _assert_matches(block, "what was printed", block.text, self._printed)
            case _:
                pass

    def _run_python(self, block: Block) -> None:
        code = compile("\n" * block.line + block.text, str(ROOT / block.page), "exec")
        with redirect_stdout(StringIO()) as printed:
            exec(code, self._names)  # noqa: S102 - our own documentation
        self._printed = self._seen_by_a_reader(printed.getvalue())

    def _run_console(self, block: Block) -> None:
        steps = _steps(block.text)
        # The status is put back, so that a command may ask for it.
        script = "".join(
            f"{{ {command}\n}}; s=$?; printf '\\036%s\\036' $s; (exit $s)\n" for command, _ in steps
        )
        script += "printf '\\036%s' \"$PWD\"\n"
        *printed, folder = _typed(script, Path.cwd()).split(_MARK)
        os.chdir(folder)
        for number, (command, expected) in enumerate(steps):
            shown, status = printed[2 * number], printed[2 * number + 1]
            is_asked_for = steps[number + 1 : number + 2] and steps[number + 1][0] == "echo $?"
            if status != "0" and not is_asked_for:
                raise AssertionError(f"{block}: `{command}` ended with {status}:\n{shown}")
            if expected:
                _assert_matches(block, command, expected, self._seen_by_a_reader(shown))

    def _load(self, block: Block) -> None:
        text = block.text if "version:" in block.text else f"version: 1\n{block.text}"
        file = self._root / "example.yaml"
        file.write_text(text)
        try:
            manifest.load(file, os.environ)
        except CatalogInvalidError:
            if "wrong" not in block.marks:
                raise
        else:
            assert "wrong" not in block.marks, f"{block}: this catalog is not refused"

    def _install(self, block: Block) -> None:
        """Has the entry points of a pyproject.toml found, as if it were installed."""
        project = tomllib.loads(block.text)["project"]
        folder = self.shop / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
        )
        lines = [
            line
            for group, entries in project["entry-points"].items()
            for line in (f"[{group}]", *(f"{name} = {value}" for name, value in entries.items()))
        ]
        (folder / "entry_points.txt").write_text("\n".join(lines))

    def _seen_by_a_reader(self, text: str) -> str:
        for root in {str(self._root.resolve()), str(self._root)}:
            text = text.replace(root, "")
        # A machine that has much to do may take a moment between two commands.
        return re.sub(r"\b\d{1,2} seconds? ago\b", "just now", _COLOUR.sub("", text))


def run_page(page: str, sandbox: Sandbox, *, with_s3: bool) -> None:
    """Runs the blocks of a page in its order; those that need a server only `with_s3`.

    The caller has gone to the sandbox's folder, and will go back from wherever the page leads; it
    has set the sandbox's variables.
    """
    for block in blocks_of(page):
        if "needs-registry" in block.marks or ("needs-s3" in block.marks and not with_s3):
            continue  # tests/integration/registry/test_pages.py has a registry
        sandbox.run(block)


def _steps(text: str) -> list[tuple[str, str]]:
    """The commands of a console block, each with what is printed below it."""
    steps: list[tuple[str, str]] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            steps.append((line[2:], ""))
        elif line.startswith("> "):
            command, _ = steps.pop()
            steps.append((f"{command}\n{line[2:]}", ""))
        else:
            command, expected = steps.pop()
            steps.append((command, f"{expected}{line}\n"))
    return steps


def _typed(script: str, folder: Path) -> str:
    """What a terminal shows of a script's run."""
    controller, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (24, _COLUMNS))
    with subprocess.Popen(
        ["bash", "-c", script],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=terminal,
        stderr=terminal,
    ) as process:
        os.close(terminal)
        blocks = []
        try:
            while block := os.read(controller, 65536):
                blocks.append(block)
        except OSError:  # EIO: the last process has closed it
            pass
        process.wait(timeout=60)
    os.close(controller)
    return b"".join(blocks).decode().replace("\r\n", "\n")


def _assert_matches(block: Block, what: str, expected: str, shown: str) -> None:
    wanted = expected.replace("…", "...")
    if not _MATCHES(wanted, shown.replace("…", "..."), _LENIENT):
        raise AssertionError(f"{block}: of `{what}`, expected:\n{expected}\nbut:\n{shown}")

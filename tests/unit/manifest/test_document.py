"""YAML that nobody vouches for: hostile files end in a list of mistakes, soon."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from datacachalog.domain.errors import CatalogInvalidError
from tests.unit.manifest.catalogs import declared, mistakes

if TYPE_CHECKING:
    from pathlib import Path

DIRECTIVE = "YAML directives (lines that start with '%') are not supported"
SECOND = "a second document starts here; one is expected"
PLAIN_DATA = "is not allowed; this file is plain data"
OPEN_LIST = (
    "not YAML: did not find expected ',' or ']', "
    "while parsing a flow sequence that begins in line 2"
)
OPEN_QUOTE = (
    "not YAML: found unexpected end of stream, while scanning a quoted scalar that begins in line 2"
)
TAB = (
    "2: not YAML: found a tab character that violates indentation, "
    "while scanning a plain scalar that begins in line 1; indent with spaces, not with tabs"
)
BROKEN = [
    ("version: 1\na: 'x", "2: not YAML: found unexpected end of stream"),
    ("version: 1\na: [x,\n  y", f"4: {OPEN_LIST}"),
    ("version: 1\na: 'x\n", f"3: {OPEN_QUOTE}"),
    ("version: 1\na: b\n  c: d", "3: not YAML: mapping values are not allowed in this context"),
    ("version: 1\n\ta: b", TAB),
    ("version: 1\n--- \nversion: 1", f"2: {SECOND}"),
    ("version: 1\n...\n---\n[", f"3: {SECOND}"),
    ("%YAML 1.2\n---\nversion: 1", f"1: {DIRECTIVE}"),
    ("version: 1\n...\n%TAG ! x\n---\n", f"3: {DIRECTIVE}"),
    (b"version: 1\n# caf\xe9", "2: the file is not UTF-8 text"),
    ("version: 1".encode("utf-16"), "1: the file is not UTF-8 text"),
    ("version: 1\n\n# \0", "3: the control character '\\x00' is not allowed"),
    ("version: 1\n# \x1b[31m", "2: the control character '\\x1b' is not allowed"),
    ("a: &a [*a]", "1: alias '*a' has no finished anchor before it"),
    ("version: 1\na: *b", "2: alias '*b' has no finished anchor before it"),
]
DUBIOUS = [
    ("version: 1\nversion: 1", "2: key 'version' is written in line 1 already"),
    (
        "version: 1\ndatasets:\n  a: {source: a}\n  b: {source: b}\n  'a': {source: c}",
        "5: key 'a' is written in line 3 already",
    ),
    ("version: 1\ncache: {dir: x, dir: y}", "2: key 'dir' is written in line 2 already"),
    (
        "version: 1\ndatasets:\n  a: &a {source: a}\n  b: {<<: *a, source: b}",
        "4: merge keys ('<<') are not supported",
    ),
    ("version: 1\n? [a]\n: b", "2: a key must be text"),
    ("version: !!python/int 1", f"1: tag '!!python/int' {PLAIN_DATA}"),
    ("version: !!seq 1", f"1: tag '!!seq' {PLAIN_DATA}"),
    ("version: 1\ndatasets: !include {}", f"2: tag '!include' {PLAIN_DATA}"),
    ("version: 1\ndatasets: !!set {}", f"2: tag '!!set' {PLAIN_DATA}"),
    ("version: 1\ndatasets: {a: {source: ! b}}", f"2: tag '!' {PLAIN_DATA}"),
    ("version: 1\ndatasets:\n  a: {source: !<tag:x> b}", f"3: tag 'tag:x' {PLAIN_DATA}"),
    (
        'version: 1\ndatasets:\n  a: {source: a, description: "\\e[31m"}',
        "3: the control character '\\x1b' is not allowed",
    ),
]
LARGE = "1: the file is larger than 1024 KiB"
DEEP = "this is nested more than 20 levels deep"
MANY = "the file holds more than 100000 values, counting aliases"
ALIASES = "".join(
    f"{after}: &{after} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, after in zip("abcdefghi", "bcdefghij", strict=True)
)
HOSTILE = {
    "10 MB": ("x" * (10 << 20), LARGE),
    "a byte too many": ("#" * ((1 << 20) + 1), LARGE),
    "as large as can be": ("#" * (1 << 20), "1: the catalog is empty; begin with 'version: 1'"),
    "deep lists": ("[" * 100_000, f"1: {DEEP}"),
    "deep mappings": ("{a: " * 100_000, f"1: {DEEP}"),
    "deep blocks": ("- " * 100_000, f"1: {DEEP}"),
    "deep keys": ("? " * 100_000, f"1: {DEEP}"),
    "deep indentation": ("".join(f"{' ' * n}a:\n" for n in range(1000)), f"21: {DEEP}"),
    "billion laughs": (f"a: &a [lol, lol]\n{ALIASES}", f"6: {MANY}"),
    "many values": ("- a\n" * 200_000, f"100001: {MANY}"),
    "repeated aliases": (f"a: &a [{'b, ' * 20_000}]\nc: [{'*a, ' * 20_000}]", f"2: {MANY}"),
    "many directives": ("".join(f"%TAG !a{n}! b\n" for n in range(60_000)), f"1: {DIRECTIVE}"),
    "many documents": ("---\n" * 200_000, f"2: {SECOND}"),
    "NUL bytes": ("\0" * 1_000_000, "1: the control character '\\x00' is not allowed"),
    "a long number": ("version: " + "1" * 1_000_000, "1: 'version' must be the number 1"),
    "open quotes": (
        "version: 1\na: '" + "b\n\n" * 300_000,
        f"600002: {OPEN_QUOTE}",
    ),
}


@pytest.mark.parametrize(("text", "mistake"), [*BROKEN, *DUBIOUS])
def test_what_is_wrong_with_the_yaml_is_named(text: str | bytes, mistake: str):
    assert [f"catalog.yaml:{mistake}"] == mistakes(text)


@pytest.mark.parametrize(("text", "mistake"), HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_file_is_refused_within_two_seconds(text: str, mistake: str):
    start = time.process_time()  # others may be at this machine too

    found = mistakes(text)

    assert time.process_time() - start < 2
    assert [f"catalog.yaml:{mistake}"] == found


def test_a_tag_runs_nothing(tmp_path: Path):
    found = mistakes(f"!!python/object/apply:os.system ['touch {tmp_path}/pwned']")

    tag = f"catalog.yaml:1: tag '!!python/object/apply:os.system' {PLAIN_DATA}"
    assert tag == found[0]
    assert not list(tmp_path.iterdir())


IN_ONE_GIGABYTE = """
import pathlib, resource, sys
from datacachalog import manifest
from datacachalog.domain.errors import CatalogInvalidError
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
try:
    manifest.load(pathlib.Path(sys.argv[1]), {})
except CatalogInvalidError as error:
    print(error)
"""


def test_a_file_of_a_terabyte_is_read_to_the_limit(tmp_path: Path):
    with (tmp_path / "catalog.yaml").open("wb") as sparse:
        sparse.truncate(1 << 40)

    done = python(IN_ONE_GIGABYTE, tmp_path / "catalog.yaml")

    assert [f"catalog.yaml:{LARGE}"] == done


WITHOUT_LIBYAML = """
import pathlib, sys
sys.modules["yaml._yaml"] = None
from datacachalog import manifest
from datacachalog.domain.errors import CatalogInvalidError
for file in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    try:
        manifest.load(file, {})
    except CatalogInvalidError as error:
        print(*(problem.partition(":")[2] for problem in error.problems), sep="\\n")
"""


def test_mistakes_are_the_same_without_libyaml(tmp_path: Path):
    escape = "1: not YAML: found an escape that is no character"
    cases = [*DUBIOUS, ('a: "\\UFFFFFFFF"', escape), ('a: "\\U00110000"', escape)]
    cases += [(text, mistake) for text, mistake in HOSTILE.values() if mistake.endswith(DEEP)]
    for number, (text, _) in enumerate(cases):
        (tmp_path / f"{number:03}.yaml").write_text(text)

    done = python(WITHOUT_LIBYAML, tmp_path)

    assert [mistake for _, mistake in cases] == done


def python(code: str, *arguments: object) -> list[str]:
    """The lines that a new interpreter prints."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return done.stdout.splitlines()


YAMLISH = st.lists(
    st.sampled_from(
        [
            *"[]{}:,-?&*!|>'\"%@`#~$\\ \n\t",
            *("\n  ", "\n    ", ": ", "- ", "? ", "&a ", "*a", "<<", "!!str ", "!x ", "--- "),
            *("version", "1", "datasets", "source", "s3://lake/a.csv", "${A", "storage", "s3://"),
            *("cache", "dir", "tags", "freshness", "10m", "endpoint_url", "http://h", "\ufeff"),
        ]
    )
).map("".join)


def problems_or_none(content: bytes) -> tuple[str, ...] | None:
    try:
        declared(content)
    except CatalogInvalidError as error:
        return error.problems
    return None


@given(st.binary() | st.text().map(str.encode) | YAMLISH.map(str.encode))
@example(b"\xef\xbb\xbf")
@example(b"? a")
@example(b"version: 1\n'a\n")
@example(b'"\\ud800": 1')
def test_whatever_the_file_holds_it_is_declared_or_invalid(content: bytes):
    problems = problems_or_none(content)

    assert problems != ()
    for problem in problems or ():
        assert problem.startswith("catalog.yaml:")
        assert problem.isprintable()


@given(YAMLISH)
def test_whatever_stands_under_a_key_it_is_declared_or_invalid(text: str):
    for start in (
        "datasets: ",
        "datasets: {a: ",
        "storage: {s3://: {region: ",
        "cache: {dir: ",
        "",
    ):
        assert problems_or_none(f"version: 1\n{start}{text}".encode()) != ()

"""README and docs against the repository: links, file names, tests, options, and the length of the README."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.settings import published_options as published
from tests.commands import REPOSITORY
from tests.pages import PAGES, README, commands, page_id
from tests.test_layout import WINGS

FOLDERS = ("ops", "scripts", "tests", "docs", "recipes", ".ci")
FILE_ENDINGS = (".py", ".sh", ".md", ".args")
# Scripts whose options are said by --help, and by that of each of their subcommands.
SCRIPTS = [*REPOSITORY.glob("*.py"), *sorted((REPOSITORY / "scripts").rglob("*.py"))]
SUBCOMMANDS = {"make_lists.py": ("something", "ucf101", "folders")}
OF_OTHER_PROGRAMS = {
    "--nproc_per_node", "--master_port", "--max-restarts", "--signals-to-handle", "--standalone", "--nnodes",
    "--node-rank", "--master-addr", "--master-port", "--rdzv-backend", "--rdzv-conf", "--rdzv-endpoint", "--rdzv-id",
    "--local-addr",  # torchrun
    "--nodes", "--array", "--ntasks-per-node", "--gpus-per-node", "--gpus-per-task",  # SLURM
    "--container-image", "--container-mounts", "--container-workdir",  # pyxis
    "--gpus", "--network", "--ipc", "--pid",  # docker, py-spy
    "--logdir",  # TensorBoard
    "--shm-size",  # docker
}  # fmt: skip
OF_THE_PUBLISHED_CODE = published.TRAINING.keys() | published.TESTING.keys()
PRINT_ALL_HELP = """
import contextlib, io, runpy, sys
for command in sys.argv[1:]:
    script, *words = command.split()
    sys.argv[:] = [script, *words, "--help"]
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.suppress(SystemExit):
        runpy.run_path(script, run_name="__main__")
    print("#", script.rpartition("/")[2], *text.getvalue().split())
"""


def without_blocks(text: str) -> str:
    return re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)


def quoted(text: str) -> list[str]:
    """What stands in backticks in a page's prose."""
    return re.findall(r"`([^`\n]+)`", without_blocks(text))


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives to a page's headings."""
    headings = re.findall(r"^#+ (.+)$", without_blocks(text), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def repository_paths(text: str) -> Iterator[str]:
    """Words of a page that look like a file, a folder or a test of the repository."""
    words = [word for line in (*quoted(text), *map(shlex.join, commands(text))) for word in line.split()]
    for word in (word.removeprefix("@") for word in words):  # @FILE: options that stand in a file
        if not re.search(r"[<>{}=$]", word):
            path = word.partition("::")[0]
            if (path.split("/")[0] in FOLDERS and "/" in path) or path.endswith(FILE_ENDINGS):
                yield word


def is_there(word: str) -> bool:
    """Whether a path, one from tests/ on or a file's bare name exists, and has the class and test behind ``::``."""
    path, *names = word.split("::")
    found = [file for base in ("", "tests/") for file in REPOSITORY.glob(base + path.rstrip("/"))]
    if "/" not in path:
        found += [file for folder in FOLDERS for file in (REPOSITORY / folder).rglob(path)]
    return any(all(defines(file, name) for name in names) for file in found)


def defines(file: Path, name: str) -> bool:
    return re.search(rf"^ *(class|def) {name}\b", file.read_text(encoding="utf-8"), flags=re.MULTILINE) is not None


def rows_with_tests(text: str) -> Iterator[tuple[str, list[str]]]:
    """The rows of a page's tables whose last column is "tested by": each with the tests that the column names.

    ``::TestClass`` alone is of the file that was named before it.
    """
    for table in re.findall(r"^\|.*\| tested by \|\n\|[-| ]+\|\n((?:\|.*\n)+)", text, flags=re.MULTILINE):
        for row in table.splitlines():
            named, file = [], ""
            for word in quoted(row.rstrip("| ").rpartition(" | ")[2]):
                file = word.partition("::")[0] or file
                named.append(word if word.startswith(file) else file + word)
            yield row, named


def options(words: str) -> set[str]:
    return set(re.findall(r"(?<![\w-])--[a-z][\w-]*", words))


@pytest.fixture(scope="module")
def options_of() -> dict[str, set[str]]:
    """The options that the --help of each script names."""
    lines = [" ".join((str(path), word)) for path in SCRIPTS for word in ("", *SUBCOMMANDS.get(path.name, ()))]
    command = [sys.executable, "-c", PRINT_ALL_HELP, *lines]
    printed = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    found: dict[str, set[str]] = {}
    for line in printed.splitlines():
        _, name, *words = line.split()
        found.setdefault(name, set()).update(options(" ".join(words)))
    return found


def test_readme_is_short() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) < 200


def test_contributing_names_the_wings_in_their_order() -> None:
    text = (REPOSITORY / "docs" / "contributing.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `ops/(\w+)/` \|", text, flags=re.MULTILINE)
    there = [wing for wing in WINGS if (REPOSITORY / "ops" / wing / "__init__.py").is_file()]
    assert rows == there


@pytest.mark.parametrize("page", PAGES, ids=page_id)
class TestPage:
    def test_links_lead_somewhere(self, page: Path) -> None:
        text = page.read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)\s]+)\)", without_blocks(text)):
            if "://" in target:
                continue
            name, _, anchor = target.partition("#")
            path = page.parent / name if name else page
            assert path.exists(), target
            assert not anchor or anchor in anchors(path.read_text(encoding="utf-8")), target

    def test_files_exist(self, page: Path) -> None:
        missing = [word for word in repository_paths(page.read_text(encoding="utf-8")) if not is_there(word)]
        assert missing == []

    def test_rows_have_their_tests(self, page: Path) -> None:
        for row, named in rows_with_tests(page.read_text(encoding="utf-8")):
            assert any("test_" in word and is_there(word) for word in named), row
            assert [word for word in named if "::" in word and not is_there(word)] == [], row

    def test_options_exist(self, page: Path, options_of: dict[str, set[str]]) -> None:
        """Those in prose are of some script, those of a command of its script."""
        text = page.read_text(encoding="utf-8")
        known = set().union(*options_of.values(), OF_OTHER_PROGRAMS, OF_THE_PUBLISHED_CODE)
        assert options(" ".join(quoted(text))) <= known
        for words in commands(text):
            names = [Path(word).name for word in words]
            scripts = [name for name in names if name in options_of and name != "torchrun.py"]  # which starts another
            used = options(" ".join(words)) - OF_OTHER_PROGRAMS
            assert not scripts or used <= options_of[scripts[0]], words


def test_every_difference_from_the_published_code_has_a_test() -> None:
    text = (REPOSITORY / "docs" / "testing.md").read_text(encoding="utf-8")
    _, _, table = text.partition("\n## What differs from the published code\n")
    rows = re.findall(r"^\| (?!published code|---).*", table, flags=re.MULTILINE)
    assert [row for row, _ in rows_with_tests(table)] == rows and len(rows) >= 13


def test_finds_what_is_wrong() -> None:
    """The checks above look at something: each finds an error in a made-up page."""
    text = "# A `--b`, c\n`ops/nothing.py` `--nothing`\n```sh\npython scripts/none.py --nothing_else\n```\n"
    assert list(repository_paths(text)) == ["ops/nothing.py", "scripts/none.py"]
    assert options(" ".join(quoted(text))) == {"--b", "--nothing"}
    assert commands(text) == [["python", "scripts/none.py", "--nothing_else"]]
    assert anchors(text) == {"a---b-c"}
    assert is_there("tests/test_docs.py") and is_there("test_docs.py::TestPage") and is_there("scripts/*.py")
    assert is_there("test_docs.py::TestPage::test_files_exist") and is_there("test_docs.py::is_there")
    assert not is_there("ops/nothing.py") and not is_there("test_docs.py::TestNothing")
    assert not is_there("test_docs.py::TestPage::test_nothing")
    table = "| a | tested by |\n| --- | --- |\n| `b` | `c.py::D`, `::E` |\n| f | said |\n"
    assert list(rows_with_tests(table)) == [
        ("| `b` | `c.py::D`, `::E` |", ["c.py::D", "c.py::E"]),
        ("| f | said |", []),
    ]

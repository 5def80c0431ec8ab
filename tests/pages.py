"""README and docs as the tests read them."""

import re
import shlex
from pathlib import Path

from tests.commands import REPOSITORY

README = REPOSITORY / "README.md"
PAGES = [
    README,
    *sorted((REPOSITORY / "docs").glob("*.md")),
    REPOSITORY / "recipes/README.md",
    REPOSITORY / "tests/golden/README.md",
]


def page_id(page: Path) -> str:
    return str(page.relative_to(REPOSITORY))


def commands(text: str) -> list[list[str]]:
    """Command lines of a page's shell blocks, as words."""
    blocks = re.findall(r"^```sh\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def commands_with(page: Path, *words: str) -> list[list[str]]:
    """A page's commands that have all these words."""
    found = [c for c in commands(page.read_text(encoding="utf-8")) if all(word in c for word in words)]
    assert found, f"{page.name}: no command with {' '.join(words)}"
    return found

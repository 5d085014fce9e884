"""What the documents promise is there: files they link to, commands they name, code they show."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from consentclf.cli import main

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "data/README.md", ROOT / "models/README.md"]
)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
COMMAND = re.compile(r"^\s*\$ (?:\.venv/bin/)?consentclf (.*)$|`consentclf ([a-z][^`]*)`", re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_to_files_that_exist(page: Path) -> None:
    for target in LINK.findall(re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)):
        if not re.match(r"[a-z]+:|#", target):
            assert (page.parent / target.partition("#")[0]).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_commands_and_options_exist(page: Path) -> None:
    context = main.make_context("consentclf", ["info"], resilient_parsing=True)
    for match in COMMAND.finditer(page.read_text(encoding="utf-8")):
        name, *words = (match[1] or match[2]).partition("#")[0].split()
        command = main.get_command(context, name)
        assert command is not None, f"{page.name}: consentclf {name}"
        if words and hasattr(command, "commands"):
            command = command.commands.get(words[0])
            assert command is not None, f"{page.name}: consentclf {name} {words[0]}"
        known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
        for word in words:
            if word.startswith("--"):
                assert word.partition("=")[0] in known, f"{page.name}: consentclf {name} {word}"


def test_the_readme_code_runs() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert len(code.splitlines()) <= 10
    done = subprocess.run(
        [sys.executable, "-W", "ignore::ResourceWarning", "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "article" in done.stdout


def test_the_readme_shows_lines_of_the_example() -> None:
    example = (ROOT / "examples" / "page.txt").read_text(encoding="utf-8")
    blocks = re.findall(r"```text\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 2
    for line in "\n".join(blocks).splitlines():
        assert line.removesuffix("[…]").strip() in example

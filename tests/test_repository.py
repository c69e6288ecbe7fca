"""What holds for the repository as a whole: its documents tell the truth, its files are clean."""

import ast
import inspect
import re
import subprocess
from pathlib import Path

import pytest

import tfdiag
from tfdiag.cadence import EVERY, PROBE_EVERY
from tfdiag.report import catalogue
from tfdiag.rules import ALL_RULES, STATIC_RULES, resolve_thresholds

ROOT = Path(__file__).parent.parent
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")
README = (ROOT / "README.md").read_text()
#: Hosts that only a package manager's own settings may name.
REGISTRIES = re.compile(rb"registry\.(npmjs|yarnpkg)|(pypi|pythonhosted)\.org/|\"resolved\":")


def tracked() -> list[str]:
    """Returns the files that git knows, and those about to be added."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def test_no_file_names_a_registry():
    named = [name for name in tracked() if REGISTRIES.search((ROOT / name).read_bytes())]
    assert named == []


def test_the_built_frontend_is_in_git():
    assert "tensorboard_plugin/static/index.js" in tracked()


def test_the_picture_is_small():
    picture = (ROOT / "docs/health-tab.png").read_bytes()
    assert picture.startswith(b"\x89PNG") and len(picture) < 300_000


@pytest.mark.parametrize("document", DOCUMENTS)
def test_what_documents_point_to_exists(document):
    text = (ROOT / document).read_text()
    links = re.findall(r"\]\(([^)]+)\)", text)
    paths = re.findall(r"`([\w/.-]+\.(?:py|ts|md|json|js))`", text)
    for path in (*links, *paths):
        places = ("", "tfdiag", "tensorboard_plugin/frontend")
        assert any((ROOT / place / path).is_file() for place in places), path


@pytest.mark.parametrize("document", DOCUMENTS)
def test_what_documents_say_of_make_exists(document):
    targets = re.search(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), re.M)[1].split()
    said = re.findall(r"(?:`|^)make (?:\w+=\S+ )?([a-z]+)", (ROOT / document).read_text(), re.M)
    assert set(said) <= set(targets)


def test_the_page_of_the_rules_is_what_is_printed():
    page = (ROOT / "docs/rules.md").read_text()
    assert page == f"{catalogue.markdown(ALL_RULES, resolve_thresholds(None))}\n"
    told = re.findall(r"^### .* \(`([a-z-]+)`\)$", page, re.M)
    assert sorted(told) == sorted(rule.id for rule in ALL_RULES)


def test_readme_counts_the_rules():
    tens = {20: "Twenty", 30: "Thirty", 40: "Forty"}
    ones = "-one -two -three -four -five -six -seven -eight -nine".split()
    words = tens[len(ALL_RULES) // 10 * 10] + ["", *ones][len(ALL_RULES) % 10]
    assert f"{words} rules, each with its thresholds" in README
    assert len(STATIC_RULES) == 15 and "Fifteen of them judge the model" in README
    assert ALL_RULES[:15] == STATIC_RULES


def snippets() -> list[ast.Module]:
    """Returns README's Python, parsed."""
    return [ast.parse(code) for code in re.findall(r"```python\n(.*?)```", README, re.S)]


def test_readme_uses_public_names():
    used = {
        name
        for code in snippets()
        for node in ast.walk(code)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.ImportFrom) and node.module == "tfdiag"
            else re.findall(r"^tfdiag\.(\w+)$", ast.unparse(node))
        )
    }
    assert {"HealthMonitor", "load", "check"} <= used
    assert used - {"report"} <= set(tfdiag.__all__)


@pytest.mark.tensorflow
def test_readme_calls_the_monitor_with_arguments_that_it_has():
    takes = inspect.signature(tfdiag.HealthMonitor).parameters
    for code in snippets():
        for node in ast.walk(code):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("HealthMonitor"):
                assert {keyword.arg for keyword in node.keywords} <= set(takes)
    assert set(re.findall(r"\(`(\w+)`\)", README)) <= set(takes)
    assert f"every {EVERY}th step" in README
    assert f"every {PROBE_EVERY}th step" in README
    assert f"`budget={takes['budget'].default}`" in README
    assert f"{takes['probe_samples'].default} samples" in README


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", tfdiag.__all__)
def test_every_public_name_has_a_docstring_of_its_own(name):
    value = getattr(tfdiag, name)
    inherited = any(value.__doc__ is base.__doc__ for base in getattr(value, "__mro__", ())[1:])
    assert value.__doc__ and not inherited

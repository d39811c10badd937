"""What the documentation says holds: links, storyboards, commands, options and exit codes."""

import re
from pathlib import Path

import click
import pytest
import typer

from flows.cli import app
from media import errors
from storyboards.resolve import load_film

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")], key=lambda page: page.relative_to(ROOT)
)
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = (ROOT / "docs/commands.md").read_text(encoding="utf-8")

ERRORS = [
    error
    for error in vars(errors).values()
    if isinstance(error, type) and issubclass(error, errors.TakeboardError)
]


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+\s+(.+)$", re.sub(r"```.*?```", "", text, flags=re.S), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def cli() -> click.Group:
    group = typer.main.get_command(app)
    assert hasattr(group, "commands")
    return group


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.S)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), f"{page.name}: {link}"
        if anchor:
            assert anchor in anchors(target.read_text(encoding="utf-8")), f"{page.name}: {link}"


def test_every_decision_is_listed() -> None:
    index = (ROOT / "docs/index.md").read_text(encoding="utf-8")
    decisions = sorted((ROOT / "docs/decisions").glob("*.md"))
    assert decisions
    for decision in decisions:
        assert f"(decisions/{decision.name})" in index


def test_readme_storyboards_are_whole_films(tmp_path: Path) -> None:
    storyboards = re.findall(r"```yaml\n(.*?)```", README, re.S)
    assert storyboards
    for number, text in enumerate(storyboards):
        path = tmp_path / f"film{number}.yaml"
        path.write_text(text, encoding="utf-8")
        film = load_film(path)
        assert film.deliverables
        assert all(shot.num_frames > 0 for scene in film.scenes for shot in scene.shots)


def test_readme_storyboard_has_ten_lines() -> None:
    (storyboard,) = re.findall(r"```yaml\n(.*?)```", README, re.S)
    assert len(storyboard.splitlines()) == 10


@pytest.mark.parametrize("text", [README, COMMANDS], ids=["README.md", "docs/commands.md"])
def test_every_command_named_exists(text: str) -> None:
    named = set(re.findall(r"\btakeboard ([a-z]+)\b", re.sub(r"https?://\S+", "", text)))
    assert named == set(cli().commands)


@pytest.mark.parametrize("text", [README, COMMANDS], ids=["README.md", "docs/commands.md"])
def test_every_option_named_exists(text: str) -> None:
    known = {
        option
        for command in (cli(), *cli().commands.values())
        for parameter in command.params
        for option in parameter.opts
    }
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text)) <= known | {"--help"}


def test_commands_page_names_every_option() -> None:
    for name, command in cli().commands.items():
        for parameter in command.params:
            for option in parameter.opts:
                if option.startswith("--"):
                    assert option in COMMANDS, f"{name} {option}"


def test_exit_codes_are_the_ones_of_the_errors() -> None:
    table = COMMANDS.partition("## Exit codes")[2].partition("\n## ")[0]
    documented = {int(code) for code in re.findall(r"^\| (\d+) \|", table, re.M)}
    assert documented == {0, *(error.exit_code for error in ERRORS)}


def test_make_targets_named_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for page in PAGES:
        for target in re.findall(r"^make ([a-z]+)", page.read_text(encoding="utf-8"), re.M):
            assert re.search(rf"^{target}:", makefile, re.M), f"{page.name}: make {target}"

"""The documentation that is made from the code, and the checks of what is written by hand.

python tools/docs.py            write docs/errors.md, docs/settings.md, docs/openapi.json and the
                                tables of the copy in docs/identity.md
python tools/docs.py --check    write nothing; fail where they, a link or a command are wrong
"""

import argparse
import importlib
import pkgutil
import re
import sys
import types
import typing
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ERRORS = ROOT / "docs/errors.md"
SETTINGS = ROOT / "docs/settings.md"
OPENAPI = ROOT / "docs/openapi.json"
IDENTITY = ROOT / "docs/identity.md"

Problem = str
"""One line that says where and what to do."""


class NotYet(Exception):
    """The code that this page is made from does not exist."""


# --- errors.md -----------------------------------------------------------------------------------


def refusals() -> list[type]:
    """Every refusal that Finora defines, found by importing all of it."""
    from finora_core.kernel.errors import Refusal

    for name in ("finora_core", "finora_adapters", "finora_web"):
        _import_all(name)
    found = {cls for cls in _descendants(Refusal) if cls.__module__.startswith("finora_")}
    return sorted(found, key=lambda cls: (cls.code, cls.__module__, cls.__qualname__))


def _import_all(package: str) -> None:
    # Migrations are scripts for Alembic, and a __main__ runs when it is imported.
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__, f"{package}."):
        if module.name.rpartition(".")[2] in ("migrations", "__main__"):
            continue
        importlib.import_module(module.name)
        if module.ispkg:
            _import_all(module.name)


def _descendants(cls: type) -> Iterator[type]:
    for child in cls.__subclasses__():
        yield child
        yield from _descendants(child)


def kind(cls: type) -> str:
    """The refusal of the kernel that decides how a shell answers: NotFound, Conflict, ..."""
    from finora_core.kernel.errors import Refusal

    return cls.__mro__[cls.__mro__.index(Refusal) - 1].__name__


def summary(cls: type) -> str:
    """The first paragraph of the docstring, on one line."""
    paragraph = (cls.__dict__.get("__doc__") or "").strip().partition("\n\n")[0]
    return " ".join(paragraph.split())


def error_problems() -> list[Problem]:
    """Every refusal has its own UPPER_SNAKE code and says what it means."""
    problems, taken = [], {}
    for cls in refusals():
        name = f"{cls.__module__}.{cls.__qualname__}"
        if "code" not in cls.__dict__:
            problems.append(f"{name} has no code of its own: callers could not tell it apart")
        elif not re.fullmatch(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*", cls.code):
            problems.append(f"{name}: code {cls.code!r} is not UPPER_SNAKE")
        elif cls.code in taken:
            problems.append(f"{name}: code {cls.code} is {taken[cls.code]}'s already")
        else:
            taken[cls.code] = name
        if not summary(cls):
            problems.append(f"{name} has no docstring: docs/errors.md shows it to users")
    return problems


def errors_page() -> str:
    from finora_web.errors import BY_CODE, STATUS

    status = {kind.__name__: code for kind, code in STATUS.items()}
    rows = [
        f"| `{cls.code}` | {kind(cls)} | {BY_CODE.get(cls.code) or status[kind(cls)]} "
        f"| {_cell(summary(cls))} |"
        for cls in refusals()
    ]
    return "\n".join(
        [
            "# Errors\n",
            "Made by `make docs` from the code. Each refusal has a code that stays; its kind says",
            "how a shell answers, and the status what the API says. Nothing was changed when one",
            "is raised. A fault of Finora's own is `INTERNAL`, 500.\n",
            "| Code | Kind | Status | Meaning |",
            "|---|---|---|---|",
            *rows,
            "",
        ]
    )


# --- settings.md ---------------------------------------------------------------------------------


def settings_page() -> str:
    try:
        from finora_adapters.settings import Settings, variable
    except ModuleNotFoundError as error:
        if error.name != "finora_adapters.settings":
            raise
        raise NotYet("finora_adapters.settings does not exist yet: no docs/settings.md") from None
    rows = [
        f"| `{variable(name)}` | {_cell(_shown_type(field.annotation))} "
        f"| {_cell(_shown_default(field))} | {_cell(field.description or '')} |"
        for name, field in Settings.model_fields.items()
    ]
    return "\n".join(
        [
            "# Settings\n",
            "Made by `make docs` from the code. Settings are read once from the environment; names",
            "that are not listed here are refused at start. What plugins are given is declared in",
            "their manifests: [providers.md](providers.md).\n",
            "| Variable | Type | Default | Meaning |",
            "|---|---|---|---|",
            *rows,
            "",
        ]
    )


def settings_problems() -> list[Problem]:
    try:
        from finora_adapters.settings import Settings
    except ModuleNotFoundError:
        return []
    return [
        f"setting {name} has no description: docs/settings.md shows it to users"
        for name, field in Settings.model_fields.items()
        if not field.description
    ]


def _shown_type(annotation: object) -> str:
    arguments = typing.get_args(annotation)
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _shown_type(arguments[0])
    if origin is typing.Literal:
        return " or ".join(f"`{value}`" for value in arguments)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_shown_type(one) for one in arguments if one is not type(None))
    if arguments:
        inner = ", ".join(_shown_type(one) for one in arguments if one is not ...)
        return f"{getattr(origin, '__name__', origin)} of {inner}"
    words = {"str": "text", "int": "whole number", "bool": "`true` or `false`", "Path": "path"}
    words |= {"SecretStr": "secret text", "SecretBytes": "secret bytes"}
    name = getattr(annotation, "__name__", str(annotation))
    return words.get(name, name)


def _shown_default(field: typing.Any) -> str:
    # What a factory makes may depend on the machine; the page must not.
    if field.is_required():
        return "required"
    if field.default_factory is not None:
        return "made at start"
    if field.default is None:
        return "unset"
    value = field.default
    text = str(value).lower() if isinstance(value, bool) else str(value)
    text = text.replace(str(Path.home()), "~")
    return f"`{text}`" if text else "empty"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


# --- openapi.json --------------------------------------------------------------------------------


def openapi_page() -> str:
    """What `/openapi.json` says: a change of the API is seen in a diff of this file."""
    from importlib.metadata import version

    from finora_web.api.table import ENDPOINTS
    from finora_web.openapi import text

    return text(ENDPOINTS, version("finora"))


# --- links and commands --------------------------------------------------------------------------

_FENCE = re.compile(r"^ {0,3}(```+|~~~+) *([\w-]*)[^\n]*\n(.*?)^ {0,3}\1 *$", re.M | re.S)
_LINK = re.compile(r"\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)|^\[[^\]]+\]:\s+(\S+)", re.M)
_SHELL = {"", "sh", "bash", "shell", "console", "text"}
_PROMPT = r"^\s*(?:\$ )?(?:[A-Z_]+=\S* +)*"


def pages() -> list[Path]:
    """Every Markdown file of the repository."""
    found = (path.relative_to(ROOT) for path in ROOT.rglob("*.md"))
    return sorted(
        ROOT / path
        for path in found
        if not any(part.startswith(".") or part == "node_modules" for part in path.parts[:-1])
    )


def link_problems(page: Path, root: Path = ROOT) -> list[Problem]:
    """Relative links lead to a file of the repository, and to a heading where they name one."""
    problems, where = [], page.relative_to(root)
    prose = re.sub(r"`[^`\n]*`", "", _FENCE.sub("", page.read_text()))
    for match in _LINK.finditer(prose):
        link = match[1] or match[2]
        if re.match(r"[a-z][a-z0-9+.-]*:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.is_relative_to(root) or not target.exists():
            problems.append(f"{where}: {link} leads nowhere in the repository")
        elif anchor and target.suffix == ".md" and anchor not in _anchors(target):
            problems.append(f"{where}: {link} names no heading of its page")
    return problems


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#{1,6} +(.*?) *#*$", _FENCE.sub("", page.read_text()), re.M)
    kept = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in kept}


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(), re.M))


def finora_command() -> typing.Any | None:
    """The `finora` command as click sees it, or None as long as there is none."""
    try:
        cli = importlib.import_module("finora.cli")
    except ModuleNotFoundError as error:
        if error.name != "finora.cli":
            raise
        return None
    import typer

    apps = [value for value in vars(cli).values() if isinstance(value, typer.Typer)]
    groups = {
        id(group.typer_instance) for app in apps for group in getattr(app, "registered_groups", ())
    }
    roots = [app for app in apps if id(app) not in groups]
    if len(roots) != 1:
        raise SystemExit(f"finora.cli should hold one root typer.Typer, and holds {len(roots)}")
    return typer.main.get_command(roots[0])


def command_problems(
    page: Path, targets: set[str], finora: typing.Any | None, root: Path = ROOT
) -> list[Problem]:
    """Every `make x` and `finora x` in a fenced block exists."""
    lines = "\n".join(
        block for _, language, block in _FENCE.findall(page.read_text()) if language in _SHELL
    )
    where = page.relative_to(root)
    made = re.findall(_PROMPT + r"make +([a-z][\w-]*)", lines, re.M)
    problems = [f"{where}: `make {it}` is not in the Makefile" for it in made if it not in targets]
    called = re.findall(_PROMPT + r"(?:\S*/)?finora +([a-z][\w -]*)", lines, re.M)
    missing = (_missing(finora, words.split()) for words in called if finora is not None)
    return problems + [f"{where}: `finora {it}` is not a command" for it in missing if it]


def _missing(command: typing.Any, words: list[str]) -> str | None:
    """The words up to the first that names no subcommand."""
    for number, word in enumerate(words, 1):
        subcommands = getattr(command, "commands", None)
        if not subcommands or word.startswith("-"):
            return None
        if word not in subcommands:
            return " ".join(words[:number])
        command = subcommands[word]
    return None


# --- the tables of identity.md --------------------------------------------------------------------


def identity_page() -> str:
    """The page as it is, with every table of the database in the two of what a copy holds."""
    from finora_adapters.postgres.belongings import EXPORTED, KEPT_BACK

    page = IDENTITY.read_text()
    for head, rows in (
        ("| table | left out |", {name: ", ".join(f"`{each}`" for each in sorted(hidden))
                                  for name, hidden in EXPORTED.items()}),
        ("| table | why not |", KEPT_BACK),
    ):  # fmt: skip
        start = page.index("\n", page.index("|---|---|", page.index(head))) + 1
        end = page.index("\n\n", start)
        said = "\n".join(f"| `{name}` | {what} |" for name, what in rows.items())
        page = page[:start] + said + page[end:]
    return page


# --- as a command --------------------------------------------------------------------------------

MADE = (
    (ERRORS, errors_page),
    (SETTINGS, settings_page),
    (OPENAPI, openapi_page),
    (IDENTITY, identity_page),
)


def stale(path: Path, text: str, root: Path = ROOT) -> list[Problem]:
    """A page that is made from the code must be what the code makes."""
    if path.exists() and path.read_text() == text:
        return []
    return [f"{path.relative_to(root)} is out of date: run `make docs`"]


def problems() -> list[Problem]:
    """Everything that is wrong with the documentation as it lies there."""
    found = error_problems() + settings_problems()
    for path, make in MADE:
        try:
            found += stale(path, make())
        except NotYet as reason:
            print(reason, file=sys.stderr)
    targets, finora = make_targets(), finora_command()
    if finora is None:
        print("finora.cli does not exist yet: commands are not checked", file=sys.stderr)
    for page in pages():
        found += link_problems(page) + command_problems(page, targets, finora)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description="Make or check the generated documentation.")
    parser.add_argument("--check", action="store_true", help="write nothing, fail where wrong")
    if parser.parse_args().check:
        found = problems()
        print("\n".join(found), file=sys.stderr, end="\n" if found else "")
        return 1 if found else 0
    for path, make in MADE:
        try:
            path.write_text(make())
        except NotYet as reason:
            print(reason, file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The house's rules that ruff, mypy and import-linter cannot say. Each is a function from a parsed
file to what breaks the rule in it, as (line, message)."""

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator

Offence = tuple[int, str]


def names(tree: ast.AST) -> dict[str, str]:
    """What the file's imports bind: `{"dt": "datetime.datetime"}` for an import of it as dt."""
    bound = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                bound[name.asname or name.name.partition(".")[0]] = (
                    name.name if name.asname else name.name.partition(".")[0]
                )
        elif isinstance(node, ast.ImportFrom):
            for name in node.names:
                bound[name.asname or name.name] = f"{node.module}.{name.name}"
    return bound


def dotted(node: ast.AST, bound: dict[str, str]) -> str:
    """The full name that an expression stands for, or an empty text: `dt.now`, `os.environ`."""
    if isinstance(node, ast.Name):
        return bound.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        return f"{owner}.{node.attr}" if (owner := dotted(node.value, bound)) else ""
    return ""


def imported(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every module the file imports from, wherever the import stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, name.name) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, "." * node.level + (node.module or "")


def no_float(tree: ast.AST) -> Iterator[Offence]:
    """Money is whole units. 0.1 is not a tenth, and a sum of floats depends on its order."""
    hints = [getattr(node, "annotation", None) for node in ast.walk(tree)]
    hints += [getattr(node, "returns", None) for node in ast.walk(tree)]
    for hint in filter(None, hints):
        if re.search(r"\bfloat\b", ast.unparse(hint)):
            yield hint.lineno, "is annotated as float; use int units, Amount or Decimal"
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, float):
            yield node.lineno, f"has the float {node.value}; use int units or Decimal('...')"
        elif isinstance(node, ast.Call) and dotted(node.func, {}) == "float":
            yield node.lineno, "calls float(); use units_of for money, Decimal for rates"


def no_patching(tree: ast.AST) -> Iterator[Offence]:
    """Fakes implement a port and are passed in; a patch restates the code it hides."""
    for line, module in imported(tree):
        if re.match(r"(unittest\.)?mock\b|pytest_mock\b", module):
            yield line, f"imports {module}; write a fake and pass it in"
    bound = names(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.arg) and node.arg == "mocker":
            yield node.lineno, "takes mocker; write a fake and pass it in"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            full = dotted(node.func, bound)
            if full.startswith("unittest.mock."):
                yield node.lineno, f"calls {full}; write a fake and pass it in"
            elif full == "monkeypatch.setattr" and node.args:
                target = node.args[0]
                place = target.value if isinstance(target, ast.Constant) else dotted(target, bound)
                outside = isinstance(target, ast.Constant) or place.partition(".")[0] in {
                    full.partition(".")[0] for full in bound.values()
                }
                if not outside or str(place).startswith("finora"):
                    yield node.lineno, "patches our own code; pass a fake in instead"


def no_silent_ignore(source: str) -> Iterator[Offence]:
    """`# type: ignore[code]  # why`: the next reader must know when it can go."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT or not re.match(r"#\s*type:\s*ignore", token.string):
            continue
        if not re.match(r"#\s*type:\s*ignore\[[\w, -]+\]\W*\w{2}", token.string):
            yield token.start[0], "ignores a type without [code] and a reason after it"


def no_clock(tree: ast.AST) -> Iterator[Offence]:
    """Core asks the Clock it was given, and every instant has a zone."""
    bound = names(tree)
    only_a_date = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in ("date", "replace")
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        full = dotted(node.func, bound)
        if re.fullmatch(r"datetime\.(datetime|date)\.(now|utcnow|today)|time\.time", full):
            yield node.lineno, f"calls {full}; take a Clock, or the time from the database"
        zoned = len(node.args) > 7 or any(word.arg in ("tzinfo", None) for word in node.keywords)
        if full == "datetime.datetime" and not zoned and id(node) not in only_a_date:
            yield node.lineno, "makes a datetime without a zone; say tzinfo=UTC"


def no_environment(tree: ast.AST) -> Iterator[Offence]:
    """Settings are read once, in one place, and refuse what they do not know."""
    bound = names(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Name):
            full = dotted(node, bound)
            if re.fullmatch(r"os\.(environb?|getenvb?|putenv)", full):
                yield node.lineno, f"reads {full}; take Settings, or a value from them"


def only_core_imports(tree: ast.AST, also: frozenset[str] = frozenset()) -> Iterator[Offence]:
    """Core is pure: the standard library, attrs, itself."""
    allowed = sys.stdlib_module_names | {"attr", "attrs", "finora_core"} | also
    for line, module in imported(tree):
        if module.startswith("."):
            yield line, "imports relatively; write the full name"
        elif module.partition(".")[0] not in allowed:
            yield line, f"imports {module}; core has the standard library and attrs only"


_BELOW_SLICES = ("kernel", "plugins", "manifest", "answers", "text_files")


def only_words_of_slices(tree: ast.AST, own: str) -> Iterator[Offence]:
    """A slice sees another's model and ports; what it does there, it does through an event."""
    for node in ast.walk(tree):
        modules = []
        if isinstance(node, ast.Import):
            modules = [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules = [f"{node.module}.{name.name}" for name in node.names]
        for module in modules:
            parts = module.split(".")
            if parts[0] != "finora_core" or len(parts) < 2:
                continue
            if parts[1] in (own, *_BELOW_SLICES) or {"model", "ports"} & set(parts[2:]):
                continue
            yield node.lineno, f"imports {module}; of another slice only model and ports are seen"


# Paths of one machine. The first is put together so that this file does not break its own rule.
_PATHS = re.compile(
    r"(?<![\w.-])/(?:" + "work" + r"/|root/|home/\w+/|Users/\w+/)|\.\./" + r"shared(?!/data)\b"
)
_SECRETS = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----\n[A-Za-z0-9+/]{20}|\bAKIA[0-9A-Z]{16}\b"
    r"|\bgh[pousr]_[A-Za-z0-9]{36}\b|\bsk-[A-Za-z0-9_-]{32,}\b|\bxox[abps]-[0-9A-Za-z-]{20,}"
)


def no_foreign_words(text: str) -> Iterator[Offence]:
    """The repository is read anywhere, so it speaks of no one machine; and it keeps no secret."""
    for number, line in enumerate(text.splitlines(), 1):
        if found := _PATHS.search(line):
            yield number, f"names {found[0]!r}, a path of one machine"
    if found := _SECRETS.search(text):
        yield text[: found.start()].count("\n") + 1, "holds what looks like a secret"


def no_unfinished_merge(text: str) -> Iterator[Offence]:
    """Both sides of a conflict, in a page that no compiler reads."""
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith(("<" * 7 + " ", ">" * 7 + " ")):
            yield number, "is left of a merge; choose a side"

"""No statement is made of anything that a caller sent: what varies in SQL goes by parameters.

An SQL text is safe when every piece of it stands in the source: literals, constants, and names that
only ever hold such texts. The few places that put together anything else are listed, with why it
cannot come from outside."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SRC = Path(__file__).parents[2] / "src"
# Functions and methods whose argument of this number is SQL.
TAKERS = {"text": 0, "execute": 0, "scalar": 0, "scalars": 0, "exec_driver_sql": 0, "run": 1,
          "control_row": 0, "copy": 0, "literal_column": 0}  # fmt: skip
# Where a piece is none of these; names of tables and columns are of our own catalogue.
LISTED = {
    ("finora_adapters/postgres/dump.py", "table"): "of the catalogue, quoted",
    ("finora_adapters/postgres/dump.py", "column"): "of the catalogue, quoted",
    ("finora_adapters/postgres/dump.py", "columns"): "of the catalogue, quoted",
    ("finora_adapters/postgres/dump.py", "roles"): "of access.py",
    ("finora_adapters/postgres/dump.py", "known"): "of access.py, as far as the catalogue has them",
    ("finora_adapters/postgres/erasure.py", "_owner(table)"): "one of two names",
    ("finora_adapters/postgres/erasure.py", "_owner(name)"): "one of two names",
    ("finora_adapters/postgres/erasure.py", "name"): "of the lists of tables beside it",
    ("finora_adapters/postgres/invariants.py", "query"): "of the list beside it",
    ("finora_adapters/postgres/outdated.py", "statement"): "of the source: no request reaches it",
    ("finora_adapters/postgres/migrate.py", "role"): "of access.py",
    ("finora_adapters/postgres/migrate.py", "_before(revision)"): "a name of our own migrations",
    ("finora_adapters/postgres/rules.py", "_COLUMNS[name][0]"): "of the columns beside it",
    (
        "finora_adapters/postgres/records.py",
        "condition",
    ): "literals that `conditions_of` chooses from",
    (
        "finora_adapters/postgres/pipeline.py",
        "condition",
    ): "literals that `_conditions` and `conditions_of` choose from",
}


class File:
    """What is safe in one file."""

    def __init__(self, name: str, tree: ast.AST) -> None:
        self.name, self.tree = name, tree
        self.parents = {
            child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)
        }

    def scope(self, node: ast.AST) -> ast.AST:
        while node in self.parents:
            node = self.parents[node]
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                return node
        return self.tree

    def unsafe(self, node: ast.AST, seen: frozenset[str] = frozenset()) -> Iterator[str]:
        """The pieces that do not stand in the source."""
        match node:
            case ast.Constant():
                return
            case ast.JoinedStr(values=values):
                for value in values:
                    yield from self.unsafe(value, seen)
            case ast.FormattedValue(value=value):
                yield from self.unsafe(value, seen)
            case ast.BinOp(left=left, right=right):
                yield from self.unsafe(left, seen)
                yield from self.unsafe(right, seen)
            case ast.IfExp(body=body, orelse=orelse):
                yield from self.unsafe(body, seen)
                yield from self.unsafe(orelse, seen)
            case ast.Attribute(attr=attr) if attr.isupper():
                return
            case ast.Name(id=name) if name.lstrip("_").isupper() or name in seen:
                return
            case ast.Name(id=name):
                yield from self.name_of(node, name, seen | {name})
            case ast.Call(func=ast.Attribute(value=ast.Constant(), attr="join"), args=[parts]):
                yield from self.unsafe(parts, seen)
            case ast.Call(func=ast.Name(id="int")):
                return
            case ast.Call(
                func=ast.Attribute(value=template, attr="format"), args=args, keywords=kw
            ):
                for each in (template, *args, *(given.value for given in kw)):
                    yield from self.unsafe(each, seen)
            case ast.Starred(value=value):
                yield from self.unsafe(value, seen)
            case ast.Tuple(elts=elts) | ast.List(elts=elts):
                for each in elts:
                    yield from self.unsafe(each, seen)
            case ast.GeneratorExp(elt=elt) | ast.ListComp(elt=elt):
                yield from self.unsafe(elt, seen)
            case _ if (self.name, ast.unparse(node)) not in LISTED:
                yield ast.unparse(node)

    def name_of(self, node: ast.AST, name: str, seen: frozenset[str]) -> Iterator[str]:
        if (self.name, name) in LISTED:
            return
        scope = self.scope(node)
        while True:
            given = list(self.assigned(scope, name))
            if given:
                for value in given:
                    yield from self.unsafe(value, seen)
                return
            arguments = getattr(scope, "args", None)
            for each in [] if arguments is None else [*arguments.args, *arguments.kwonlyargs]:
                if each.arg == name:
                    said = "" if each.annotation is None else ast.unparse(each.annotation)
                    if said != "LiteralString":
                        yield from self.given(scope, name, seen)
                    return
            if scope is self.tree:
                yield name
                return
            scope = self.scope(scope)

    def given(self, function: ast.AST, name: str, seen: frozenset[str]) -> Iterator[str]:
        """What the file's own calls of a function that nobody else calls give for a parameter."""
        if not isinstance(function, ast.FunctionDef) or not function.name.startswith("_"):
            yield f"{name}: of {getattr(function, 'name', '?')}"
            return
        names = [each.arg for each in function.args.args]
        place = names.index(name) - (names[0] == "self")
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Call):
                called = getattr(node.func, "attr", getattr(node.func, "id", ""))
                if called == function.name and len(node.args) > place:
                    yield from self.unsafe(node.args[place], seen - {name})

    def assigned(self, scope: ast.AST, name: str) -> Iterator[ast.AST]:
        for node in ast.walk(scope):
            match node:
                case ast.Assign(targets=targets, value=value):
                    if any(isinstance(each, ast.Name) and each.id == name for each in targets):
                        yield value
                case ast.AnnAssign(target=ast.Name(id=found), value=value) if found == name:
                    if value is not None:
                        yield value
                case ast.For(target=ast.Name(id=found), iter=value) if found == name:
                    yield value
                case ast.AugAssign(target=ast.Name(id=found), value=value) if found == name:
                    yield value


def taken(file: File) -> Iterator[tuple[int, ast.AST]]:
    """What is given to whatever takes SQL."""
    for node in ast.walk(file.tree):
        if isinstance(node, ast.Call):
            called = node.func
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            if isinstance(called, ast.Attribute) and name in ("text", "run"):
                continue
            place = TAKERS.get(name)
            if place is not None and len(node.args) > place:
                given = node.args[place]
                if isinstance(given, ast.JoinedStr | ast.BinOp | ast.Constant) or name == "text":
                    yield node.lineno, given


def offences(name: str, source: str) -> list[str]:
    file = File(name, ast.parse(source))
    return [
        f"{name}:{line}: {piece}" for line, given in taken(file) for piece in file.unsafe(given)
    ]


@pytest.mark.invariant("T-24")
def test_no_statement_is_made_of_what_a_caller_sent() -> None:
    found, looked_at = [], 0
    for path in sorted(SRC.rglob("*.py")):
        source = path.read_text()
        looked_at += "text(" in source
        found += offences(str(path.relative_to(SRC)), source)
    assert looked_at > 15
    assert found == []


@pytest.mark.parametrize(
    "line",
    [
        'c.execute(text(f"select {given}"))', 'c.execute(text("select " + given))',
        'c.execute(text("select %s" % given))', 'c.execute(text("select {}".format(given)))',
        'q = f"select {given}"; c.execute(text(q))', "c.execute(text(given))",
        'run(c, f"select {given}", {})', 'c.exec_driver_sql(f"select {given}")',
        'c.execute(text(" and ".join([given])))', 'c.execute(text(f"select {self.given}"))',
        'q = A; q += given; c.execute(text(q))',
    ],
)  # fmt: skip
def test_it_would_be_found(line: str) -> None:
    source = "\n".join(["def f(c, given: str):", *(f"    {part}" for part in line.split("; "))])
    assert offences("x.py", source)
    safe = line.replace("given", "GIVEN").replace(".format(GIVEN)", "")
    assert not offences("x.py", "def f(c):\n" + "\n".join(f"    {p}" for p in safe.split("; ")))

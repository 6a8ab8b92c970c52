"""The story that every generated client tells the running server: `story.json`, one line a call.

    {"call": "get_file"}

calls one operation. Everything else is said only where it is needed:

- `with`: parameters of the path, the query and the header, by name. One of the path that is not
  given is what an earlier line saved under its name.
- `body`: of a JSON body; `file` or `form`: of an upload, as the body or as a form's part, each
  character a byte.
- `save`: names for what is somewhere in the reply, `{"file_id": "data.id"}`; later lines say
  `"$file_id"`, wherever a text may stand.
- `expect`: what must be where in the reply; `says`: what a reply that is not JSON contains.
- `refused`: status and code, where the call must be refused.
- `as`: another token than the tenant's own, such as a person's who signed in.

`{"host": "work"}` asks something of the test, see `host.py`: what a user would do elsewhere.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

STORY = Path(__file__).with_name("story.json")
_METHODS = ("get", "post", "put", "patch", "delete")
_CALL = {"call", "with", "body", "file", "form", "save", "expect", "says", "refused", "as"}
_HOST = {"host", "with", "save"}
# A good answer takes a device, an account elsewhere, or what a refusal said, that a story has
# not: it is refused.
ELSEWHERE = {"login_by_passkey", "add_passkey", "start_oidc", "login_by_oidc", "add_account",
             "login_by_telegram", "add_telegram", "finish_login"}  # fmt: skip

Schema = dict[str, Any]


class BadStory(Exception):
    """A line cannot be told; the message says which and why."""


@attrs.frozen(kw_only=True)
class Operation:
    """One operation of the document, as far as a client has to know it."""

    name: str
    tag: str
    method: str
    path: str
    parameters: Mapping[str, Any]
    body: Schema | None
    uploads: bool
    status: int
    """Of a good answer."""
    reply: Schema | None
    """None: not JSON."""
    guarded: bool
    """Whether it wants a token."""

    def place(self, name: str) -> str:
        """Where a parameter stands: path, query or header."""
        return str(self.parameters[name]["in"])


@attrs.frozen
class Document:
    """An OpenAPI document."""

    raw: Any

    @property
    def operations(self) -> dict[str, Operation]:
        return {
            raw["operationId"]: self._operation(method, path, raw)
            for path, methods in self.raw["paths"].items()
            for method, raw in methods.items()
            if method in _METHODS
        }

    def _operation(self, method: str, path: str, raw: Any) -> Operation:
        kinds = raw.get("requestBody", {}).get("content", {})
        [good] = [status for status in raw["responses"] if status.startswith("2")]
        reply = raw["responses"][good].get("content", {})
        return Operation(
            name=raw["operationId"],
            tag=raw["tags"][0],
            method=method,
            path=path,
            parameters={each["name"]: each for each in raw["parameters"]},
            body=kinds.get("application/json", {}).get("schema"),
            uploads="multipart/form-data" in kinds,
            status=int(good),
            reply=reply.get("application/json", {}).get("schema"),
            guarded=bool(raw.get("security", self.raw["security"])),
        )

    def resolved(self, schema: Schema) -> Schema:
        """Without a reference at its top."""
        name = named(schema)
        return self.raw["components"]["schemas"][name] if name else schema

    def present(self, schema: Schema) -> tuple[Schema, bool]:
        """The schema of what is there, and whether null may be in its place."""
        choices = schema.get("anyOf", [schema])
        there = [each for each in choices if each.get("type") != "null"]
        if not there:
            return schema, True
        return there[0], len(there) < len(choices)

    def way(self, schema: Schema, path: str) -> tuple[list["Step"], Schema]:
        """From a reply to something in it, and the schema of that."""
        steps = []
        for part in path.split("."):
            schema, nullable = self.present(schema)
            schema = self.resolved(schema)
            if schema.get("type") == "array":
                steps.append(Step("item", part, nullable))
                schema = schema["items"]
            elif part in schema.get("properties", {}):
                steps.append(Step("field", part, nullable))
                schema = schema["properties"][part]
            elif schema.get("additionalProperties"):
                steps.append(Step("key", part, nullable))
                more = schema["additionalProperties"]
                schema = more if isinstance(more, dict) else {}
            else:
                raise BadStory(f"there is no {part!r} of {path!r} in the document")
        return steps, schema

    def line(self, name: str) -> str:
        """How a call of the operation could look in the story."""
        operation = self.operations[name]
        said: dict[str, Any] = {"call": name}
        needed = [
            each["name"]
            for each in operation.parameters.values()
            if each["required"] and each["in"] != "path"
        ]
        if needed:
            said["with"] = dict.fromkeys(needed, "...")
        if operation.body is not None:
            fields = self.resolved(operation.body).get("required", [])
            said["body"] = dict.fromkeys(fields, "...")
        if operation.uploads:
            said["file"] = "..."
        return json.dumps(said)


def named(schema: Schema) -> str | None:
    """The component that a schema refers to."""
    return schema["$ref"].rpartition("/")[2] if "$ref" in schema else None


@attrs.frozen
class Step:
    kind: str
    """field of an object with known fields, item of a list, key of an object without."""
    name: str
    nullable: bool
    """What it starts from may be null."""


@attrs.frozen(kw_only=True)
class Call:
    line: int
    operation: Operation
    given: dict[str, Any]
    body: Any
    content: bytes | None
    form: bool
    save: dict[str, str]
    expect: dict[str, Any]
    says: str | None
    refused: tuple[int, str] | None
    token: str | None


@attrs.frozen(kw_only=True)
class Ask:
    """Something asked of the host."""

    line: int
    act: str
    given: dict[str, Any]
    save: dict[str, str]


def read_story(document: Document, lines: Any = None) -> list[Call | Ask]:
    """The story as the document lets it be told. Raises BadStory."""
    told: list[Call | Ask] = []
    saved: set[str] = set()
    operations = document.operations
    for number, line in enumerate(json.loads(STORY.read_text()) if lines is None else lines, 1):
        where = f"story.json, line {number}, {line.get('call') or line.get('host')}"
        allowed = _HOST if "host" in line else _CALL
        if set(line) - allowed:
            raise BadStory(f"{where}: {sorted(set(line) - allowed)} mean nothing")
        for name in references(line):
            if name not in saved:
                raise BadStory(f"{where}: nothing was saved as {name!r}")
        if "host" in line:
            given, save = line.get("with", {}), line.get("save", {})
            told.append(Ask(line=number, act=line["host"], given=given, save=save))
        elif line.get("call") in operations:
            told.append(_call(where, number, line, operations[line["call"]], saved))
        else:
            raise BadStory(f"{where}: the document has no such operation")
        saved |= line.get("save", {}).keys()
    return told


def _call(
    where: str, number: int, line: dict[str, Any], operation: Operation, saved: set[str]
) -> Call:
    given = dict(line.get("with", {}))
    for name, parameter in operation.parameters.items():
        if parameter["required"] and name not in given:
            if parameter["in"] != "path" or name not in saved:
                raise BadStory(f"{where}: it needs {name!r}; save one under that name before, or "
                               f"say it in `with`")  # fmt: skip
            given[name] = f"${name}"
    if unknown := set(given) - set(operation.parameters):
        raise BadStory(f"{where}: it takes no {sorted(unknown)}")
    content = line.get("form", line.get("file"))
    if (operation.body is None) != ("body" not in line) or operation.uploads != (
        content is not None
    ):
        raise BadStory(f"{where}: say its `body`, or its `file` or `form`, where it takes one")
    refused = line.get("refused")
    return Call(
        line=number,
        operation=operation,
        given=given,
        body=line.get("body"),
        content=None if content is None else content.encode("latin-1"),
        form="form" in line,
        save=line.get("save", {}),
        expect=line.get("expect", {}),
        says=line.get("says"),
        refused=None if refused is None else (refused[0], refused[1]),
        token=line.get("as"),
    )


def references(value: Any) -> list[str]:
    """The names after `$` anywhere in a line."""
    if isinstance(value, str):
        return [value[1:]] if value.startswith("$") else []
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [name for each in inner for name in references(each)]


def missing(document: Document, told: list[Call | Ask]) -> list[str]:
    """The lines that are to be added before every operation has answered well once, or as well as
    it can."""
    calls = [each for each in told if isinstance(each, Call)]
    good = {
        each.operation.name
        for each in calls
        if not each.refused or each.operation.name in ELSEWHERE
    }
    return [document.line(name) for name in document.operations if name not in good]

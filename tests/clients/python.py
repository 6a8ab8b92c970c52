"""The story as a Python program over the package that openapi-python-client generates, every call
written out with the generated classes, so that the type checker sees each argument."""

import ast
from pathlib import Path
from typing import Any

import attrs

from clients.story import Ask, BadStory, Call, Document, Schema, named

PACKAGE = "finora_client"
_HEAD = """\
import datetime
import io
import json
from collections.abc import Mapping
from typing import Any, TypeVar
from uuid import UUID

import httpx
from finora_client import AuthenticatedClient, Client, errors, models
{imports}
from finora_client.types import File, Response

SERVER, HOST = {server!r}, {host!r}
WAIT = httpx.Timeout(60)
T = TypeVar("T")


def asking(token: str) -> AuthenticatedClient:
    return AuthenticatedClient(
        base_url=SERVER + "/api/v1", token=token, raise_on_unexpected_status=True, timeout=WAIT
    )


def good(line: int, answer: Response[Any], status: int, model: type[T]) -> T:
    assert answer.status_code == status, (line, answer.status_code, answer.content)
    parsed = answer.parsed
    assert isinstance(parsed, model), (line, parsed)
    if not isinstance(parsed, File | str):
        check_whole(line, parsed, answer.content)
    return parsed


def refused(line: int, answer: Response[Any], status: int, code: str) -> None:
    assert answer.status_code == status, (line, answer.status_code, answer.content)
    parsed = answer.parsed
    assert isinstance(parsed, models.Failed), (line, parsed)
    same(line, parsed.error.code, code)
    assert parsed.success is False
    assert parsed.error.message
    assert parsed.request_id
    for detail in parsed.error.details:
        assert detail.path and detail.msg
    check_whole(line, parsed, answer.content)


def check_whole(line: int, parsed: Any, content: bytes) -> None:
    \"\"\"All that was said is in the model, under a name that it knows, and says the same.\"\"\"
    assert unknown(parsed) == [], (line, unknown(parsed))
    assert plain(parsed.to_dict()) == plain(json.loads(content)), line


def unknown(value: Any) -> list[str]:
    if isinstance(value, list):
        return [name for each in value for name in unknown(each)]
    fields = getattr(value, "__attrs_attrs__", ())
    names = [each.name for each in fields if each.name != "additional_properties"]
    found = [name for each in names for name in unknown(getattr(value, each))]
    return found + (list(value.additional_properties) if names else [])


def plain(value: Any) -> Any:
    \"\"\"An instant as one, however it is written.\"\"\"
    if isinstance(value, dict):
        return {{key: plain(each) for key, each in value.items()}}
    if isinstance(value, list):
        return [plain(each) for each in value]
    if isinstance(value, str) and value[10:11] == "T":
        try:
            return datetime.datetime.fromisoformat(value)
        except ValueError:
            return value
    return value


def must(line: int, value: T | None) -> T:
    assert value is not None, line
    return value


def same(line: int, got: object, wanted: object) -> None:
    if isinstance(got, UUID | datetime.date):
        got, wanted = str(got), str(wanted)
    assert got == wanted, (line, got, wanted)


def says(line: int, content: bytes, wanted: str) -> None:
    assert wanted in content.decode("latin-1"), (line, content)


def host(act: str, given: Mapping[str, str]) -> dict[str, str]:
    answer = httpx.post(f"{{HOST}}/{{act}}", json=given, timeout=60)
    assert answer.status_code == 200, answer.text
    said: dict[str, str] = answer.json()
    return said


def file(content: bytes) -> File:
    return File(payload=io.BytesIO(content), file_name="file")


mine = asking({token!r})
nobody = Client(base_url=SERVER + "/api/v1", raise_on_unexpected_status=True, timeout=WAIT)
"""


def _key(name: str) -> str:
    return "".join(each for each in name.lower() if each.isalnum())


@attrs.frozen
class Generated:
    """What the generator made of the document's names."""

    names: dict[str, str]
    """Of parameters and fields."""
    classes: dict[str, str]
    """Of models and enumerations."""

    @classmethod
    def read(cls, package: Path) -> "Generated":
        names: dict[str, str] = {}
        classes: dict[str, str] = {}
        for path in package.rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                match node:
                    case ast.ClassDef():
                        classes[_key(node.name)] = node.name
                    case ast.AnnAssign(target=ast.Name(id=name)) | ast.arg(arg=name):
                        # `type_` for `type`: the name with the underscore is the generator's.
                        names[_key(name)] = max(name, names.get(_key(name), ""), key=len)
        return cls(names, classes)

    def name(self, name: str) -> str:
        if _key(name) not in self.names:
            raise BadStory(f"the generated client knows no {name!r}")
        return self.names[_key(name)]

    def model(self, *names: str) -> str:
        for name in names:
            if _key(name) in self.classes:
                return f"models.{self.classes[_key(name)]}"
        raise BadStory(f"the generated client has no class for {' or '.join(names)}")


class Python:
    """Writes the program."""

    def __init__(self, document: Document, generated: Generated) -> None:
        self.document = document
        self.generated = generated
        self.saved: dict[str, tuple[str, Schema]] = {}

    def program(self, told: list[Call | Ask], *, server: str, host: str, token: str) -> str:
        modules = {
            f"from {PACKAGE}.api.{each.operation.tag} import {each.operation.name}"
            for each in told
            if isinstance(each, Call)
        }
        imports = "\n".join(sorted(modules))
        lines = [_HEAD.format(imports=imports, server=server, host=host, token=token)]
        for each in told:
            lines += self._ask(each) if isinstance(each, Ask) else self._call(each)
        return "\n".join([*lines, f'print("told {len(told)}")', ""])

    def _ask(self, ask: Ask) -> list[str]:
        reply = f"reply{ask.line}"
        lines = [f"{reply} = host({ask.act!r}, {self._value({}, ask.given)})"]
        for name, key in ask.save.items():
            lines.append(f"{name}{ask.line} = {reply}[{key!r}]")
            self.saved[name] = f"{name}{ask.line}", {"type": "string"}
        return lines

    def _call(self, call: Call) -> list[str]:
        operation, reply = call.operation, f"reply{call.line}"
        asked = f"{operation.name}.sync_detailed({', '.join(self._arguments(call))})"
        if call.refused is not None:
            return [f"refused({call.line}, {asked}, {call.refused[0]}, {call.refused[1]!r})"]
        if operation.reply is None:
            lines = [
                f"{reply} = {asked}",
                f"good({call.line}, {reply}, {operation.status}, object)",
            ]
        else:
            model = self.generated.model(named(operation.reply) or "")
            lines = [f"{reply} = good({call.line}, {asked}, {operation.status}, {model})"]
        if call.says is not None:
            lines.append(f"says({call.line}, {reply}.content, {call.says!r})")
        for path, wanted in call.expect.items():
            got, schema = self._reached(call, path)
            wanted = wanted if isinstance(wanted, str) and wanted.startswith("$") else [wanted]
            said = self.saved[wanted[1:]][0] if isinstance(wanted, str) else repr(wanted[0])
            lines.append(f"same({call.line}, {got}, {said})")
        for name, path in call.save.items():
            got, schema = self._reached(call, path)
            schema, _ = self.document.present(schema)
            lines.append(f"{name}{call.line} = must({call.line}, {got})")
            self.saved[name] = f"{name}{call.line}", self.document.resolved(schema)
        return lines

    def _arguments(self, call: Call) -> list[str]:
        client = "mine" if call.operation.guarded else "nobody"
        if call.token is not None:
            client = f"asking({self._value({'type': 'string'}, call.token)})"
        found = [f"client={client}"]
        for name, value in call.given.items():
            schema = call.operation.parameters[name]["schema"]
            found.append(f"{self.generated.name(name)}={self._value(schema, value)}")
        if call.operation.body is not None:
            found.append(f"body={self._value(call.operation.body, call.body)}")
        if call.content is not None:
            content = f"file({call.content!r})"
            found.append(f"body=models.Upload(file={content})" if call.form else f"body={content}")
        return found

    def _reached(self, call: Call, path: str) -> tuple[str, Schema]:
        assert call.operation.reply is not None
        steps, schema = self.document.way(call.operation.reply, path)
        expression = f"reply{call.line}"
        for step in steps:
            if step.nullable:
                expression = f"must({call.line}, {expression})"
            if step.kind == "field":
                expression += f".{self.generated.name(step.name)}"
            else:
                expression += f"[{step.name}]" if step.kind == "item" else f"[{step.name!r}]"
        return expression, schema

    def _value(self, schema: Schema, value: Any, inside: str = "") -> str:
        """The expression for a value where the schema is wanted, `inside` the named one."""
        if value is None:
            return "None"
        schema, _ = self.document.present(schema)
        inside = named(schema) or inside
        schema = self.document.resolved(schema)
        if isinstance(value, list):
            one = schema.get("items", {})
            within = f"{inside}Item" if inside else ""
            items = ", ".join(self._value(one, each, within) for each in value)
            return f"[{items}]"
        if isinstance(value, dict):
            return self._object(schema, value, inside)
        if isinstance(value, str) and value.startswith("$"):
            said, has = self.saved[value[1:]]
            has, wanted = has.get("format"), schema.get("format")
            if has == wanted:
                return said
            return _TEXTS.get(wanted, "str({})").format(said)
        if isinstance(value, str):
            return _TEXTS.get(schema.get("format"), "{}").format(repr(value))
        return repr(value)

    def _object(self, schema: Schema, value: dict[str, Any], inside: str) -> str:
        fields = schema.get("properties")
        if fields is None:
            inner = ", ".join(f"{key!r}: {self._value({}, each)}" for key, each in value.items())
            # An object without fields that are known is a class, too, named after where it is.
            made = self.generated.model(inside, f"{inside}Type0") if inside else ""
            return f"{made}.from_dict({{{inner}}})" if made else f"{{{inner}}}"
        inner = ", ".join(
            f"{self.generated.name(key)}={self._value(fields[key], each, inside + key)}"
            for key, each in value.items()
        )
        return f"{self.generated.model(inside)}({inner})"


_TEXTS = {
    "uuid": "UUID({})",
    "date": "datetime.date.fromisoformat({})",
    "date-time": "datetime.datetime.fromisoformat({})",
}

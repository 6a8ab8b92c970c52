"""The story as a TypeScript program over openapi-fetch, every call written out, so that the
compiler checks each against the generated types."""

import json
import re
from typing import Any

from clients.story import Ask, Call, Document, Step

_HEAD = """\
import createClient from "openapi-fetch";
import type {{ components, paths }} from "./finora.js";

const SERVER = {server};
const HOST = {host};

type Failed = components["schemas"]["Failed"];
type Answer<T> = {{ data?: T; error?: unknown; response: Response }};

function asking(token: string | null) {{
  const headers = token === null ? {{}} : {{ Authorization: `Bearer ${{token}}` }};
  return createClient<paths>({{ baseUrl: `${{SERVER}}/api/v1`, headers }});
}}

function good<T>(line: number, answer: Answer<T>, status: number): T {{
  if (answer.response.status !== status || answer.data === undefined) {{
    const said = JSON.stringify(answer.error);
    throw new Error(`line ${{line}}: ${{answer.response.status}} ${{said}}`);
  }}
  return answer.data;
}}

function refused(
  line: number,
  answer: {{ error?: Failed; response: Response }},
  status: number,
  code: string,
): void {{
  const error = answer.error;
  if (answer.response.status !== status || error === undefined || error.success) {{
    throw new Error(`line ${{line}}: not refused, ${{answer.response.status}}`);
  }}
  same(line, error.error.code, code);
  for (const detail of error.error.details) must(line, detail.path + detail.msg);
  must(line, error.request_id);
}}

function must<T>(line: number, value: T | null | undefined): T {{
  if (value === null || value === undefined) throw new Error(`line ${{line}}: there is nothing`);
  return value;
}}

function same<T>(line: number, got: T, wanted: NoInfer<T>): void {{
  if (got !== wanted) throw new Error(`line ${{line}}: ${{got}} is not ${{wanted}}`);
}}

function says(line: number, got: ArrayBuffer, wanted: string): void {{
  let text = "";
  for (const byte of new Uint8Array(got)) text += String.fromCharCode(byte);
  if (!text.includes(wanted)) throw new Error(`line ${{line}}: says ${{text}}`);
}}

async function host(act: string, given: Record<string, string>): Promise<Record<string, string>> {{
  const body = JSON.stringify(given);
  const answer = await fetch(`${{HOST}}/${{act}}`, {{ method: "POST", body }});
  if (!answer.ok) throw new Error(await answer.text());
  return await answer.json();
}}

// The generator writes bytes as `string`.
function bytes(text: string): string {{
  const made = new Blob([Uint8Array.from(text, (each) => each.charCodeAt(0))]);
  return made as unknown as string;
}}

function form(body: string | {{ file: string }}): FormData {{
  const made = new FormData();
  if (typeof body === "object" && "file" in body) made.append("file", body.file as unknown as Blob);
  return made;
}}

const mine = asking({token});
const nobody = asking(null);
"""


class TypeScript:
    """Writes the program."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.saved: dict[str, str] = {}

    def program(self, told: list[Call | Ask], *, server: str, host: str, token: str) -> str:
        given = {"server": server, "host": host, "token": token}
        lines = [_HEAD.format(**{name: json.dumps(value) for name, value in given.items()})]
        for each in told:
            lines += self._ask(each) if isinstance(each, Ask) else self._call(each)
        return "\n".join([*lines, f'console.log("told {len(told)}");', ""])

    def _ask(self, ask: Ask) -> list[str]:
        reply = f"reply{ask.line}"
        lines = [f"const {reply} = await host({json.dumps(ask.act)}, {self._value(ask.given)});"]
        for name, key in ask.save.items():
            lines.append(f"const {name}{ask.line} = must({ask.line}, {reply}[{json.dumps(key)}]);")
            self.saved[name] = f"{name}{ask.line}"
        return lines

    def _call(self, call: Call) -> list[str]:
        operation, reply = call.operation, f"reply{call.line}"
        client = "mine" if operation.guarded else "nobody"
        if call.token is not None:
            client = f"asking({self._value(call.token)})"
        asked = (
            f"await {client}.{operation.method.upper()}"
            f"({json.dumps(operation.path)}, {self._options(call)})"
        )
        if call.refused is not None:
            status, code = call.refused
            return [f"refused({call.line}, {asked}, {status}, {json.dumps(code)});"]
        lines = [f"const {reply} = good({call.line}, {asked}, {operation.status});"]
        if call.says is not None:
            lines.append(f"says({call.line}, {reply}, {json.dumps(call.says)});")
        for path, wanted in call.expect.items():
            got = self._reached(call, path)
            lines.append(f"same({call.line}, {got}, {self._value(wanted)});")
        for name, path in call.save.items():
            got = self._reached(call, path)
            lines.append(f"const {name}{call.line} = must({call.line}, {got});")
            self.saved[name] = f"{name}{call.line}"
        return lines

    def _options(self, call: Call) -> str:
        """The second argument of a call."""
        options, params = [], []
        for place in ("path", "query", "header"):
            given = {n: v for n, v in call.given.items() if call.operation.place(n) == place}
            if given:
                params.append(f"{place}: {self._value(given)}")
        if params:
            options.append(f"params: {{ {', '.join(params)} }}")
        if call.body is not None:
            options.append(f"body: {self._value(call.body)}")
        if call.content is not None:
            content = f"bytes({json.dumps(call.content.decode('latin-1'))})"
            if call.form:
                options += [f"body: {{ file: {content} }}", "bodySerializer: form"]
            else:
                options += [f"body: {content}", "bodySerializer: (body) => body",
                            'headers: { "Content-Type": "application/octet-stream" }']  # fmt: skip
        if call.operation.reply is None:
            options.append('parseAs: "arrayBuffer"')
        return f"{{ {', '.join(options)} }}" if options else "{}"

    def _reached(self, call: Call, path: str) -> str:
        assert call.operation.reply is not None
        steps, _ = self.document.way(call.operation.reply, path)
        expression = f"reply{call.line}"
        for step in steps:
            if step.nullable:
                expression = f"must({call.line}, {expression})"
            expression += _access(step)
        return expression

    def _value(self, value: Any) -> str:
        match value:
            case dict():
                inner = ", ".join(f"{json.dumps(k)}: {self._value(v)}" for k, v in value.items())
                return f"{{ {inner} }}" if inner else "{}"
            case list():
                return f"[{', '.join(map(self._value, value))}]"
            case str() if value.startswith("$"):
                return self.saved[value[1:]]
            case _:
                return json.dumps(value)


def _access(step: Step) -> str:
    if step.kind == "item":
        return f"[{step.name}]"
    if step.kind == "field" and re.fullmatch(r"[A-Za-z_]\w*", step.name):
        return f".{step.name}"
    return f"[{json.dumps(step.name)}]"

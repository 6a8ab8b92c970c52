"""The OpenAPI 3.1 document, made from the very models that validate."""

import json
from typing import Any, Literal

from pydantic.json_schema import models_json_schema

from finora_web.contract import Endpoint, Out, Paged

ROOT = "/api/v1"
_ID = "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"
_REF = "#/components/schemas/{model}"


class Detail(Out):
    path: str
    msg: str


class Error(Out):
    code: str
    message: str
    details: list[Detail]


class Failed(Out):
    """What a refusal looks like; `code` is stable, see docs/errors.md."""

    success: Literal[False]
    error: Error
    request_id: str


_UPLOAD = {
    "type": "object",
    "description": "A file as a part of a form.",
    "required": ["file"],
    "additionalProperties": False,
    "properties": {"file": {"type": "string", "format": "binary"}},
}
_SAID = {
    "400": "The request is not right.",
    "401": "Nobody knows who is asking.",
    "402": "The key is blocked until its bill is settled.",
    "403": "The token does not carry the permission.",
    "404": "There is no such thing, or it is not the caller's.",
    "409": "The present state does not allow it.",
    "412": "The source is not ready for it: it needs credentials, or does not do this.",
    "413": "The body is too large.",
    "415": "The body is of another media type than the route takes.",
    "423": "Too many wrong guesses; Retry-After says for how long it is locked.",
    "422": "The Idempotency-Key was used for another request.",
    "429": "A limit is used up.",
    "503": "Something that it needs does not answer; try again.",
}


def document(endpoints: tuple[Endpoint, ...], version: str) -> dict[str, Any]:
    """The whole document."""
    models = _models(endpoints)
    refs, schemas = models_json_schema([(model, mode) for model, mode in models], ref_template=_REF)
    paths: dict[str, Any] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint, refs)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Finora",
            "version": version,
            "description": "The money back end. Money is a decimal string in its asset's scale.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": ROOT}],
        "security": [{"token": []}],
        "tags": [{"name": tag} for tag in dict.fromkeys(each.tag for each in endpoints)],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": schemas.get("$defs", {}) | {"Upload": _UPLOAD},
        },
    }


def text(endpoints: tuple[Endpoint, ...], version: str) -> str:
    """The document as a file that is compared line by line: `docs/openapi.json`."""
    return json.dumps(document(endpoints, version), ensure_ascii=False, indent=1) + "\n"


def _models(endpoints: tuple[Endpoint, ...]) -> list[tuple[Any, Any]]:
    found: dict[tuple[Any, str], None] = {(Failed, "serialization"): None}
    for endpoint in endpoints:
        if endpoint.body is not None:
            found[endpoint.body, "validation"] = None
        if endpoint.reply_type is not None:
            found[endpoint.reply_type, "serialization"] = None
    return list(found)


def _operation(endpoint: Endpoint, refs: Any) -> dict[str, Any]:
    doc = (endpoint.handler.__doc__ or "").strip()
    summary, _, more = doc.partition("\n\n")
    operation: dict[str, Any] = {
        "operationId": endpoint.name,
        "tags": [endpoint.tag],
        "summary": " ".join(summary.split()),
        "parameters": _parameters(endpoint),
        "responses": _responses(endpoint, refs),
    }
    if more:
        operation["description"] = " ".join(more.split())
    if endpoint.permission is not None:
        operation["x-permission"] = endpoint.permission
    else:
        operation["security"] = []
    if endpoint.step_up:
        operation["x-step-up"] = True
    operation["x-rate-limit"] = endpoint.limit
    if endpoint.body is not None:
        schema = refs[endpoint.body, "validation"]
        content = {"application/json": {"schema": schema}}
        operation["requestBody"] = {"required": True, "content": content}
    if endpoint.uploads is not None:
        form = {"$ref": _REF.format(model="Upload")}
        operation["requestBody"] = {
            "required": True,
            "content": {
                "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
                "multipart/form-data": {"schema": form},
            },
        }
    return operation


def _parameters(endpoint: Endpoint) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "format": "uuid"},
        }
        for name in endpoint.parameters
    ]
    if endpoint.query is not None:
        schema = endpoint.query.model_json_schema(ref_template=_REF)
        for name, given in schema.get("properties", {}).items():
            inline = _inlined(given, schema.get("$defs", {}))
            described = inline.pop("description", None)
            parameter = {
                "name": name,
                "in": "query",
                "required": name in schema.get("required", ()),
                "schema": inline,
            }
            found.append(parameter | ({"description": described} if described else {}))
    if endpoint.permission is not None:
        found.append(
            {
                "name": "X-Tenant-Id",
                "in": "header",
                "required": False,
                "description": "Of the tenants that a person is in, the one that is meant; without "
                "it the personal one. A token has its own.",
                # By its form, not by `format`: generated clients send a header's text as it is.
                "schema": {"type": "string", "pattern": _ID},
            }
        )
    if endpoint.writes and endpoint.kept:
        found.append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": False,
                "description": "A repeat with the same key and content gets the first answer.",
                "schema": {"type": "string", "minLength": 1, "maxLength": 200,
                           "pattern": "^[!-~]+$"},
            }
        )  # fmt: skip
    return found


def _inlined(schema: Any, definitions: dict[str, Any]) -> Any:
    """The schema without references: a query is small, and a null cannot be written in one."""
    if isinstance(schema, list):
        return [_inlined(each, definitions) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        found = definitions[str(schema["$ref"]).rpartition("/")[2]]
        return _inlined(found | {k: v for k, v in schema.items() if k != "$ref"}, definitions)
    inlined = {key: _inlined(value, definitions) for key, value in schema.items() if key != "title"}
    choices = [each for each in inlined.pop("anyOf", []) if each != {"type": "null"}]
    if len(choices) == 1:
        inlined |= choices[0]
    elif choices:
        inlined["anyOf"] = choices
    if inlined.get("default", 0) is None:
        del inlined["default"]
    return inlined


def _responses(endpoint: Endpoint, refs: Any) -> dict[str, Any]:
    error = {"application/json": {"schema": refs[Failed, "serialization"]}}
    if endpoint.reply_type is None:
        good: dict[str, Any] = {endpoint.media_type: {"schema": {"type": "string"}}}
        if endpoint.media_type == "application/octet-stream":
            # The first for generated clients, of which some know no `*/*`; the second is true.
            binary = {"schema": {"type": "string", "format": "binary"}}
            good = {"application/octet-stream": binary, "*/*": binary}
    else:
        good = {endpoint.media_type: {"schema": refs[endpoint.reply_type, "serialization"]}}
    responses: dict[str, Any] = {
        str(endpoint.status): {"description": "As asked.", "content": good}
    }
    if "302" in endpoint.also:
        responses["302"] = {"description": "Where the bytes are, for an hour."}
    for status in _possible(endpoint):
        responses[status] = {"description": _SAID[status], "content": error}
    return responses


def _possible(endpoint: Endpoint) -> list[str]:
    found = {"400", "401", "403", "503"}
    if endpoint.parameters:
        found.add("404")
    if endpoint.writes:
        found |= {"404", "409", "413", "415", "422"}
    if endpoint.private:
        found.add("423")
    if endpoint.query is not None and not issubclass(endpoint.query, Paged):
        found.add("404")
    return sorted(found | {"429", *endpoint.also} - {"302"})

"""Credentials of third parties: put, listed by what is not secret of them, removed."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, Field, SecretStr

from finora_core.kernel.scope import Scope
from finora_core.secrets.model import FIELD, INSTITUTION, MAX_FIELD_BYTES, MAX_FIELDS, SecretText
from finora_web.contract import In, Instant, Listed, Out, Routes, Single, whole
from finora_web.services import Services

routes = Routes("credentials")


def _text(value: SecretStr) -> SecretStr:
    if "\0" in value.get_secret_value():
        raise ValueError("is not text")
    return value


def _as_map(schema: dict[str, Any]) -> None:
    """As generators of clients know a map; they pass over patternProperties."""
    [(pattern, value)] = schema.pop("patternProperties").items()
    schema["additionalProperties"] = value
    schema["propertyNames"] = {"pattern": pattern, "maxLength": 40}


Slug = Annotated[str, Field(pattern=f"^{INSTITUTION}$", max_length=64)]
FieldName = Annotated[str, Field(pattern=f"^{FIELD}$", max_length=40)]
FieldText = Annotated[
    SecretStr,
    Field(min_length=1, max_length=MAX_FIELD_BYTES, description="At most 4096 bytes of UTF-8."),
    AfterValidator(_text),
    Field(json_schema_extra={"pattern": "^[^\\x00]+$"}),
]


class CredentialIn(In):
    """A credential as its institution gave it: `{"api_key": "...", "api_secret": "..."}`."""

    institution: Annotated[Slug, Field(examples=["kraken"])]
    type: Annotated[Slug, Field(examples=["api_key"])] = "api_key"
    fields: Annotated[
        dict[FieldName, FieldText],
        Field(
            min_length=1,
            max_length=MAX_FIELDS,
            examples=[{"api_key": "...", "api_secret": "..."}],
            json_schema_extra=_as_map,
        ),
    ]
    expires_at: Instant | None = None


class CredentialOut(Out):
    """All of a credential but what is secret."""

    id: UUID
    institution: str
    type: str
    fields: list[str] = Field(description="The names of what is kept.")
    version: int
    is_active: bool
    created_at: datetime
    changed_at: datetime
    last_used_at: datetime | None
    expires_at: datetime | None
    sync_blocked_until: datetime | None
    failures: int


@routes.get("/credentials", "credentials:read", Listed[CredentialOut], shape=whole)
def list_credentials(app: Services, scope: Scope) -> object:
    """The asker's own credentials, by institution.

    What is secret of them is never told, to nobody and in no part.
    """
    return app.secrets.list(scope)


@routes.post("/credentials", "credentials:write", Single[CredentialOut], private=True, body_kb=256)
def put_credential(app: Services, scope: Scope, body: CredentialIn) -> object:
    """Keep a credential, in place of the asker's one for the institution."""
    return app.secrets.put(
        scope,
        body.institution,
        {name: SecretText(text.get_secret_value()) for name, text in body.fields.items()},
        type=body.type,
        expires_at=body.expires_at,
    )


@routes.delete("/credentials/{credential_id}", "credentials:write", Single[CredentialOut])
def remove_credential(app: Services, scope: Scope, credential_id: UUID) -> object:
    """Forget one of the asker's credentials."""
    return app.secrets.remove(scope, credential_id)

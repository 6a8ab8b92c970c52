"""People at the door: what each sends, what each gets, and the letters that come."""

import json
import re
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import attrs
from flask import Flask
from pyotp import TOTP
from sqlalchemy import Engine, text
from werkzeug.test import TestResponse

from finora import Finora

ROOT = "/api/v1"
PASSWORD, OTHER = "correct horse battery", "staple of the battery"


def an_address() -> str:
    return f"p{uuid4().hex}@example.org"


@attrs.frozen
class Site:
    """The application, and what is behind it."""

    app: Flask
    finora: Finora
    admin: Engine
    mail: Path

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = None,
        tenant: object = None,
        key: str | None = None,
        address: str = "127.0.0.1",
        agent: str = "tests",
        headers: dict[str, str] | None = None,
        query: dict[str, Any] | None = None,
    ) -> TestResponse:
        sent = {"User-Agent": agent} | (headers or {})
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        if tenant is not None:
            sent["X-Tenant-Id"] = str(tenant)
        if key is not None:
            sent["Idempotency-Key"] = key
        answer = self.app.test_client(use_cookies=False).open(
            path if path.startswith(ROOT) else ROOT + path,
            method=method,
            json=body,
            headers=sent,
            query_string=query,
            buffered=True,
            environ_base={"REMOTE_ADDR": address},
        )
        assert answer.status_code < 500 or answer.status_code == 503, answer.text
        return answer

    def refused(self, *given: Any, **more: Any) -> tuple[int, str]:
        """Status and code of a refusal."""
        answer = self.ask(*given, **more)
        assert answer.status_code >= 400, answer.text
        return answer.status_code, answer.json["error"]["code"]

    def register(self, email: str | None = None, password: str = PASSWORD) -> "Person":
        """Somebody new, signed in."""
        email = email or an_address()
        body = {"email": email, "password": password, "name": "Ada"}
        answer = self.ask("POST", "/auth/register", body)
        assert answer.status_code == 201, answer.text
        return self.sign_in(email, password)

    def verified(self, **more: Any) -> "Person":
        """Somebody new, whose address is shown to be theirs."""
        person = self.register(**more)
        answer = self.confirm(person, more.get("password", PASSWORD))
        assert answer.status_code == 200, answer.text
        return person

    def verified_first(self) -> str:
        """The address of somebody new, where nobody signs in before it is proven."""
        email = an_address()
        self.ask("POST", "/auth/register", {"email": email, "password": PASSWORD, "name": "Ada"})
        link = self.letter(email, "Confirm").link
        answer = self.ask("POST", "/auth/verify", {"link": link, "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        return email

    def confirm(self, person: "Person", password: str = PASSWORD) -> TestResponse:
        """Open the link that came when somebody signed up."""
        body = {"link": person.letter("Confirm").link, "password": password}
        return self.ask("POST", "/auth/verify", body)

    def login(self, email: str, password: str = PASSWORD, **more: Any) -> TestResponse:
        sent = {name: more.pop(name) for name in ("code", "device") if name in more}
        return self.ask(
            "POST", "/auth/login", {"email": email, "password": password} | sent, **more
        )

    def sign_in(self, email: str, password: str = PASSWORD, **more: Any) -> "Person":
        answer = self.login(email, password, **more)
        assert answer.status_code == 200, answer.text
        return self.person(answer, email)

    def person(self, answer: TestResponse, email: str = "") -> "Person":
        assert answer.status_code == 200, answer.text
        said = answer.json["data"]
        return Person(
            site=self,
            email=email,
            user_id=said["user_id"],
            tenant_id=said["tenant_id"],
            session_id=said["session_id"],
            access=said["access_token"],
            refresh=said["refresh_token"],
            device=said["device"],
        )

    def letters(self, email: str, subject: str = "") -> list["Sent"]:
        """All that came to the address, oldest first. Jobs are run until none is ready."""
        self.finora.run_jobs()
        found = []
        for file in sorted(self.mail.glob("*.eml"), key=lambda each: each.stat().st_mtime_ns):
            content = file.read_bytes()
            if email.encode() in content:
                letter = message_from_bytes(content, policy=policy.default)
                assert isinstance(letter, EmailMessage)
                if letter["To"] == email and subject in letter["Subject"]:
                    found.append(Sent(letter))
        return found

    def letter(self, email: str, subject: str = "") -> "Sent":
        """The newest."""
        found = self.letters(email, subject)
        assert found, f"no letter {subject!r} to {email}"
        return found[-1]

    def asked(self, email: str, kind: str) -> "Sent":
        """The letter that is asked for."""
        answer = self.ask("POST", "/auth/letters", {"email": email, "kind": kind})
        assert answer.status_code == 202, answer.text
        subject = {"reset": "Choose a new", "magic": "Your link", "code": "Your code"}[kind]
        return self.letter(email, subject)

    def minute_later(self, person: "Person") -> None:
        """As if the last letter had been sent a minute ago: then there is another one."""
        self.sql(
            "update finora.challenge set expires_at = expires_at - interval '61 s' "
            "where user_id = :id",
            id=person.user_id,
        )

    def sql(self, statement: str, **values: Any) -> list[Any]:
        """As the superuser: what only time, or nobody, could do."""
        with self.admin.begin() as connection:
            found = connection.execute(text(statement), values)
            return list(found) if found.returns_rows else []

    def make_admin(self, person: "Person") -> "Person":
        """As whoever runs the installation would."""
        self.sql("update finora.person set roles = 'admin' where user_id = :id", id=person.user_id)
        return person

    def events(self, type_: str, **payload: Any) -> list[Any]:
        """Payload, actor, tenant and time of the events that say at least that."""
        return self.sql(
            "select payload, actor, tenant_id, recorded_at, request_id from finora.event "
            "where type = :type and payload @> cast(:said as jsonb) order by recorded_at",
            type=type_,
            said=json.dumps(payload),
        )


@attrs.frozen
class Sent:
    letter: EmailMessage

    @property
    def text(self) -> str:
        body = self.letter.get_body(("plain",))
        assert body is not None
        return str(body.get_content())

    @property
    def link(self) -> str:
        found = re.search(r"token=([\w.-]+)", self.text)
        assert found, self.text
        return found.group(1)

    @property
    def code(self) -> str:
        found = re.search(r"^\s*(\d{6})\s*$", self.text, re.MULTILINE)
        assert found, self.text
        return found.group(1)


@attrs.define
class Person:
    """Somebody who is signed in."""

    site: Site
    email: str
    user_id: str
    tenant_id: str
    session_id: str
    access: str
    refresh: str
    device: str | None

    def ask(self, method: str, path: str, body: Any = None, **more: Any) -> TestResponse:
        return self.site.ask(method, path, body, token=more.pop("token", self.access), **more)

    def get(self, path: str, **more: Any) -> Any:
        answer = self.ask("GET", path, **more)
        assert answer.status_code == 200, answer.text
        return answer.json["data"]

    def post(self, path: str, body: Any = None, status: int = 200, **more: Any) -> Any:
        answer = self.ask("POST", path, body, **more)
        assert answer.status_code == status, answer.text
        return answer.json["data"]

    def refused(self, *given: Any, **more: Any) -> tuple[int, str]:
        answer = self.ask(*given, **more)
        assert answer.status_code >= 400, answer.text
        return answer.status_code, answer.json["error"]["code"]

    def letter(self, subject: str = "") -> Sent:
        return self.site.letter(self.email, subject)

    def letters(self, subject: str = "") -> list[Sent]:
        return self.site.letters(self.email, subject)

    def again(self, **more: Any) -> "Person":
        """Another session."""
        return self.site.sign_in(self.email, **more)

    def refreshed(self, text: str | None = None, **more: Any) -> TestResponse:
        body = {"refresh_token": text or self.refresh}
        return self.site.ask("POST", "/auth/refresh", body, **more)

    def business(self, name: str = "Acme") -> str:
        """The id of a new one."""
        return str(self.post("/tenants", {"name": name}, 201)["id"])

    def invites(self, tenant: str, whom: "Person", role: str) -> str:
        """The link that whom gets."""
        self.post("/invites", {"email": whom.email, "role": role}, 201, tenant=tenant)
        return whom.letter("Invitation").link

    def takes_in(self, tenant: str, whom: "Person", role: str) -> None:
        link = self.invites(tenant, whom, role)
        whom.post("/invites/acceptance", {"link": link})

    def age(self, **columns: str) -> None:
        """Move moments of the session: `age(proven_at="6 minutes")` is so long ago."""
        for column, ago in columns.items():
            self.site.sql(
                f"update finora.session set {column} = {column} - cast(:ago as interval) "
                "where id = :id",
                ago=ago,
                id=self.session_id,
            )

    def codes_on(self) -> TOTP:
        """Turn one-time codes on; the app that has their secret."""
        offer = self.post("/me/codes/offer")
        app = TOTP(offer["secret"])
        self.post("/me/codes", {"ticket": offer["ticket"], "code": app.now()})
        return app

    def code_used_up(self) -> None:
        """As if the last code had been used long ago: half a minute is long for a test."""
        self.site.sql("update finora.person set code_step = 0 where user_id = :id", id=self.user_id)


def now() -> datetime:
    return datetime.now(UTC)


def uuid(text_: str) -> UUID:
    return UUID(text_)

"""Who asks: people who signed up and signed in, each as what the test makes them, and nobody."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from uuid import UUID, uuid4

import attrs
from flask import Flask
from sqlalchemy import Engine, text

from finora_core.identity.people.model import Challenge, Found, Purpose
from finora_core.identity.sessions.door import always
from finora_core.identity.sessions.model import Client, SessionKind, SignedIn
from finora_core.identity.tenants.model import Invite
from finora_web.services import Services
from web.api import Api

PASSWORD = "correct horse battery"
MEMBERS = ("owner", "admin", "accountant", "viewer")
PLATFORM = ("admin", "resolver", "guard", "buyer", "seller")


@attrs.frozen(kw_only=True)
class Person:
    """Somebody who signed up and in with an address and PASSWORD, a moment ago."""

    email: str
    identity_id: UUID
    """Of the address."""
    signed_in: SignedIn

    @property
    def user_id(self) -> UUID:
        return self.signed_in.user_id

    @property
    def home_id(self) -> UUID:
        return self.signed_in.tenant_id

    @property
    def session_id(self) -> UUID:
        return self.signed_in.session_id


@attrs.frozen
class People:
    """Makes people. What no service gives anybody, the superuser writes, before they ask."""

    app: Flask
    admin: Engine

    @property
    def services(self) -> Services:
        services: Services = self.app.config["SHELL"].gate.services
        return services

    def register(self, word: str = "Ada") -> Person:
        email = f"{uuid4().hex}@example.org"
        made = self.services.people.register(email, PASSWORD, word, request_id="r")
        [identity] = made.identities
        return Person(email=email, identity_id=identity.id, signed_in=self.sign_in(email))

    def sign_in(self, email: str) -> SignedIn:
        return self.services.sessions.sign_in(Client(), email, PASSWORD, request_id="r")

    def open(self, person: Person) -> SignedIn:
        """Another session, whatever became of the password."""
        found = Found(user_id=person.user_id, home_id=person.home_id,
                      identity_id=person.identity_id)  # fmt: skip
        door = self.services.sessions.door
        return door.enter(found, Client(), SessionKind.BEARER, "password", "r", strong=always)

    def join(self, person: Person, tenant_id: UUID, role: str) -> None:
        self.write(
            "insert into finora.membership (tenant_id, user_id, role) "
            "values (:tenant, :user, :role)",
            tenant=tenant_id, user=person.user_id, role=role,
        )  # fmt: skip

    def verify(self, person: Person) -> None:
        self.write("update finora.identity set verified_at = now() where id = :id",
                   id=person.identity_id)  # fmt: skip

    def forget_proof(self, person: Person) -> None:
        """As if the address had not been verified yet."""
        self.write("update finora.identity set verified_at = null where id = :id",
                   id=person.identity_id)  # fmt: skip

    def promote(self, person: Person, *roles: str) -> None:
        """Roles on the platform."""
        self.write("update finora.person set roles = :roles where user_id = :user",
                   roles=",".join(sorted(roles)), user=person.user_id)  # fmt: skip

    def ban(self, person: Person) -> None:
        self.write("update finora.person set banned_at = now() where user_id = :user",
                   user=person.user_id)  # fmt: skip

    def age(self, person: Person) -> None:
        """Who asks proved it an hour ago."""
        self.write("update finora.session set proven_at = now() - interval '1 hour' "
                   "where user_id = :user", user=person.user_id)  # fmt: skip

    def api(self, person: Person, tenant_id: UUID | None = None) -> Api:
        """Asks as the person, at home or in that tenant."""
        tenant = None if tenant_id is None else str(tenant_id)
        return Api(self.app, person.signed_in.access, tenant)

    def newest(self, person: Person, purpose: Purpose) -> Challenge:
        """What the person was sent last for this."""
        query = text(
            "select id, identity_id, expires_at from finora.challenge "
            "where user_id = :user and purpose = :purpose order by id desc limit 1"
        )
        with self.admin.connect() as connection:
            row = connection.execute(
                query, {"user": person.user_id, "purpose": purpose.value}
            ).one()
        return Challenge(purpose=purpose, **row._mapping)

    def link(self, person: Person, purpose: Purpose) -> str:
        """The link in that letter."""
        made = self.newest(person, purpose)
        return self.services.letters.links.write(person.user_id, person.home_id, made)

    def code(self, person: Person, purpose: Purpose) -> str:
        """The six digits in it."""
        return self.services.letters.links.code(person.user_id, self.newest(person, purpose))

    def invitation(self, tenant_id: UUID, invite: Invite) -> str:
        """The link in an invitation's letter."""
        return self.services.tenants.invitations.write(tenant_id, invite)

    def write(self, statement: str, **values: object) -> None:
        with self.admin.begin() as connection:
            connection.execute(text(statement), values)


@attrs.define(slots=False)
class Owner:
    """A person who owns a business tenant, and administers the platform: nobody may do more."""

    people: People
    word: str = "mine"
    administers: bool = True

    @cached_property
    def person(self) -> Person:
        person = self.people.register(self.word)
        if self.administers:
            self.people.promote(person, "admin")
        self.people.verify(person)
        return person

    @cached_property
    def tenant_id(self) -> UUID:
        api = self.people.api(self.person)
        return UUID(api.post("/tenants", {"name": self.word, "base_asset": "EUR"})["id"])

    @cached_property
    def api(self) -> Api:
        return self.people.api(self.person, self.tenant_id)

    @property
    def places(self) -> Sequence[UUID]:
        """Tenants whose rows are the owner's."""
        return (self.tenant_id, self.person.home_id)


TOKENS = {"token", "scoped token"}
SIGNED_IN: Mapping[str, tuple[str | None, str | None]] = {
    **{role: (role, None) for role in MEMBERS},
    **{f"platform {role}": ("viewer", role) for role in PLATFORM},
    "banned": ("owner", "admin"),
    "stranger": (None, None),
}
"""Role in the tenant, role on the platform."""


@attrs.frozen
class Cast:
    """One caller for each part, all in one tenant. Those with a part on the platform are viewers
    of it too: what a row of theirs has more, they have of that part."""

    owner: Owner
    people: Mapping[str, Person]
    callers: Mapping[str, Api]

    @classmethod
    def of(cls, owner: Owner, parts: Sequence[str] | None = None) -> "Cast":
        """Of those parts, or of all."""
        people, tenant_id = owner.people, owner.tenant_id
        found: dict[str, Person] = {}
        for part in SIGNED_IN:
            if parts is None or part in parts or (part == "owner" and TOKENS & set(parts)):
                found[part] = people.register(part)
                role, platform = SIGNED_IN[part]
                if role is not None:
                    people.join(found[part], tenant_id, role)
                if platform is not None:
                    people.promote(found[part], platform)
                if part == "banned":
                    people.ban(found[part])
        callers = {name: people.api(person, tenant_id) for name, person in found.items()}
        callers["nobody"] = Api(people.app, None)
        if parts is None:
            callers["person"] = people.api(people.register("at home"))
        for name in sorted(TOKENS if parts is None else TOKENS & set(parts)):
            permissions = ["books:read"] if name == "scoped token" else None
            body = {"name": name, "permissions": permissions}
            callers[name] = Api(people.app, callers["owner"].post("/tokens", body)["text"])
        return cls(owner, found, callers)

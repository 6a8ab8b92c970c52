"""Addresses, the letters that there are, and what a mailer is given to send."""

import re
import unicodedata
from collections.abc import Mapping
from types import MappingProxyType
from uuid import UUID

import attrs

from finora_core.kernel.errors import Invalid
from finora_core.kernel.ids import derived_id

MAX_ADDRESS = 254
MAX_WORDS = 200
MAX_SUBJECT = 400
MAX_BODY = 100_000


class BadAddress(Invalid):
    """This is no mail address that letters can go to: one name in plain ASCII, an @, a domain."""

    code = "BAD_ADDRESS"


class BadLetter(Invalid):
    """The letter lacks a value that its kind needs, or one is not what it should be."""

    code = "BAD_LETTER"


# --- addresses -----------------------------------------------------------------------------------

_LOCAL = re.compile(r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*", re.I | re.A)
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.A)
# What the older rules for such domains turn into something else, and the newer ones do not: where
# a letter goes must not depend on who reads the address.
_DISPUTED = re.compile("[ßẞς]")


@attrs.frozen
class MailAddress:
    """An address that passed the one gate there is. `text` is as it was written.

    The name before the @ is ASCII, so nothing that only looks like a letter of somebody's address
    can stand for it; no quotes, no comments, no address of a number.
    """

    text: str
    wire: str = attrs.field(
        init=False, default=attrs.Factory(lambda self: _wire(self.text), takes_self=True)
    )
    """As it goes over the wire: an international domain in its ASCII form."""

    @property
    def key(self) -> str:
        """The same for all ways to write one address; two people cannot both have it. It is made
        of what goes over the wire, so equal keys are one mailbox."""
        return self.wire.casefold()

    @property
    def domain(self) -> str:
        return self.wire.rpartition("@")[2]


def address_key(text: str) -> str:
    """What is unique about an address, however it is written. Raises BadAddress."""
    return MailAddress(text).key


def _wire(text: str) -> str:
    # The address itself is in no message: those are kept longer than people are.
    if len(text) > MAX_ADDRESS:
        raise BadAddress(f"an address has at most {MAX_ADDRESS} characters")
    local, at, domain = text.rpartition("@")
    if not at:
        raise BadAddress("the address has no @")
    if len(local) > 64 or not _LOCAL.fullmatch(local):
        raise BadAddress("what is before the @ is no name: plain letters, digits and .+-_ make one")
    wire = f"{local}@{_ascii(domain)}"
    if len(wire) > MAX_ADDRESS:
        raise BadAddress(f"an address has at most {MAX_ADDRESS} characters")
    return wire


def _ascii(domain: str) -> str:
    if not domain.isprintable():
        raise BadAddress("what is after the @ is no domain")
    if _DISPUTED.search(domain):
        raise BadAddress("this domain can be read in two ways; write it as it begins with xn--")
    plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", domain).casefold())
    labels = [_ascii_label(label) for label in plain.split(".")]
    # A last part of digits only would make a number of the host.
    if len(labels) < 2 or labels[-1].isdecimal():
        raise BadAddress("what is after the @ is no domain")
    return ".".join(labels)


def _ascii_label(label: str) -> str:
    try:
        found = label if label.isascii() else label.encode("idna").decode("ascii")
        if found.startswith("xn--"):
            found[4:].encode("ascii").decode("punycode")
    except UnicodeError:
        found = ""
    if not _LABEL.fullmatch(found):
        raise BadAddress("what is after the @ is no domain")
    return found


@attrs.frozen
class Sender:
    """Whom letters come from. The name is also how they call this installation."""

    name: str
    address: MailAddress

    def __attrs_post_init__(self) -> None:
        if not 1 <= len(self.name) <= 100 or not self.name.isprintable():
            raise BadAddress("a sender's name has 1 to 100 printable characters")

    @classmethod
    def read(cls, text: str) -> "Sender":
        """`Acme Money <post@acme.example>`, or the address alone. Raises BadAddress."""
        name, opened, rest = text.strip().partition("<")
        if not opened:
            return cls("Finora", MailAddress(name))
        if not rest.endswith(">"):
            raise BadAddress("a sender is written: Name <address>")
        return cls(name.strip().strip('"').strip() or "Finora", MailAddress(rest[:-1]))


# --- letters -------------------------------------------------------------------------------------

KINDS: Mapping[str, tuple[str, ...]] = MappingProxyType({
    "verify": ("link", "hours"),
    "reset": ("link", "code", "minutes"),
    "magic": ("link", "minutes"),
    "code": ("code", "minutes"),
    "locked": ("when", "where", "link", "minutes"),
    "new_sign_in": ("when", "device"),
    "session_reused": ("when", "device"),
    "invite": ("tenant", "role", "link", "days"),
    "email_changed": ("when", "address"),
    "password_changed": ("when",),
    "budget_reached": ("budget", "level", "spent", "available", "since"),
    "job_failed": ("task", "when", "reason", "link"),
    "fault": ("said", "link"),
    "test": ("way",),
})  # fmt: skip
"""Every letter there is, with the values it needs, no more and no fewer. `link`, `code` and numbers
are strict; the others are words, of which is kept what can be printed."""

_FORMS = {
    "link": re.compile(r"https?://[!#-;=?-Z\[\]_a-z~%]{1,2000}", re.A),
    "code": re.compile(r"[0-9A-Za-z-]{4,32}", re.A),
    "hours": re.compile(r"[1-9][0-9]{0,3}", re.A),
    "minutes": re.compile(r"[1-9][0-9]{0,3}", re.A),
    "days": re.compile(r"[1-9][0-9]{0,3}", re.A),
}
_LOCALE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}", re.A)
_MESSAGE_ID = re.compile(r"[0-9a-z-]{1,64}@[0-9a-z.-]{3,253}", re.A)


def _address(text: str | MailAddress) -> MailAddress:
    return text if isinstance(text, MailAddress) else MailAddress(text)


def _value(name: str, text: str) -> str:
    """The value as it is written into a letter; empty where it cannot be."""
    if name in _FORMS:
        return text if _FORMS[name].fullmatch(text) else ""
    # A device says of itself what it likes: what steers a terminal, a header or the order of signs
    # is left out, and the letter still goes.
    shown = "".join(sign if sign.isprintable() else " " for sign in text[: 4 * MAX_WORDS])
    words = " ".join(shown.split())
    return words if len(words) <= MAX_WORDS else words[: MAX_WORDS - 1] + "…"


def _kept(values: Mapping[str, str]) -> Mapping[str, str]:
    return MappingProxyType({name: _value(name, text) for name, text in values.items()})


@attrs.frozen(kw_only=True)
class Letter:
    """What somebody is to be told. Raises BadAddress and BadLetter.

    `about` is what makes a repeated sending recognisable: two letters of one kind to one address
    about the same thing are one letter, so what is asked for again needs an id of its own.
    """

    kind: str
    to: MailAddress = attrs.field(converter=_address)
    # Links and codes are as good as a password while they last.
    values: Mapping[str, str] = attrs.field(converter=_kept, repr=False)
    locale: str = "en"
    about: UUID

    def __attrs_post_init__(self) -> None:
        if self.kind not in KINDS:
            raise BadLetter(f"there is no letter of the kind {self.kind[:40]!r}")
        needed = KINDS[self.kind]
        wrong = [(name, "is missing") for name in needed if name not in self.values]
        wrong += [
            (name[:40], "is not of this letter") for name in self.values if name not in needed
        ]
        if not _LOCALE.fullmatch(self.locale):
            wrong.append(("locale", "is written like en or de-AT"))
        wrong += [(name, "is empty, or not what it should be")
                  for name in needed if self.values.get(name) == ""]  # fmt: skip
        if wrong:
            said = "; ".join(f"{name} {reason}" for name, reason in wrong)
            raise BadLetter(f"the letter {self.kind!r}: {said}", details=tuple(wrong))

    @property
    def id(self) -> UUID:
        return derived_id("letter", self.kind, str(self.about), self.to.key)


@attrs.frozen(kw_only=True)
class Message:
    """A letter as it is sent. Raises BadAddress and BadLetter."""

    to: MailAddress = attrs.field(converter=_address)
    subject: str
    text: str = attrs.field(repr=False)
    html: str = attrs.field(repr=False)
    message_id: str
    """Without its brackets; the same for a repeated sending."""

    def __attrs_post_init__(self) -> None:
        if not 1 <= len(self.subject) <= MAX_SUBJECT or not self.subject.isprintable():
            raise BadLetter(f"a subject has 1 to {MAX_SUBJECT} printable characters")
        if not _MESSAGE_ID.fullmatch(self.message_id):
            raise BadLetter("a message's id has letters, digits and hyphens, an @ and a domain")
        for body in (self.text, self.html):
            if not body.strip() or len(body) > MAX_BODY or _unprintable(body):
                raise BadLetter(f"a message has a text, of at most {MAX_BODY} signs that print")


def _unprintable(body: str) -> bool:
    # Not isprintable(): a text may hold joiners, marks of direction and spaces of any width.
    return any(unicodedata.category(sign) in ("Cc", "Cs") for sign in body if sign not in "\n\t")

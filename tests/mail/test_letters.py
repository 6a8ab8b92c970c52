"""Letters: each says what it must, in text and in HTML, and nothing that was not meant."""

import html
import re
from html.parser import HTMLParser
from pathlib import Path
from uuid import UUID

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import UndefinedError

from finora_adapters.mail.letters import TEMPLATES, TemplateLetters
from finora_core.mail.model import KINDS, MAX_WORDS, BadAddress, BadLetter, Letter, Sender

SENDER = Sender.read("Acme & Söhne <post@acme.example>")
LETTERS = TemplateLetters(SENDER)
VALUES = {
    "link": "https://acme.example/x?token=ab_c-d&to=%2Fhome#now",
    "code": "408921",
    "hours": "24",
    "minutes": "15",
    "days": "7",
    "when": "21 November 2026, 10:05 UTC",
    "where": "Vienna, <Austria> & \"elsewhere\"",
    "device": "Firefox 150 'on' {{ 7 * 7 }} <b>Linux</b>",
    "tenant": "Müller & Söhne <GmbH>",
    "role": "accountant",
    "address": "new@example.com",
    "budget": "Food & <drink> {{ 7 * 7 }}",
    "level": "80",
    "spent": "400.00 EUR",
    "available": "500.00 EUR",
    "since": "2026-11-01",
    "task": "records.import <b>",
    "reason": "INTERNAL",
    "said": "there are 120 dead letters & <more>",
    "way": "SMTP through mail.example.com:587",
}  # fmt: skip
ABOUT = UUID(int=7)


def letter(kind: str, **changed: str) -> Letter:
    values = {name: VALUES[name] for name in KINDS[kind]} | changed
    return Letter(kind=kind, to="ada@example.com", values=values, about=ABOUT)


class Shown(HTMLParser):
    """What a reader sees of a page, where its links lead, and what it is made of."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []
        self.language: str | None = None
        self._inside: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._inside.append(tag)
        known = dict(attributes)
        self.language = self.language or known.get("lang")
        if tag == "a":
            self.links.append(str(known["href"]))

    def handle_endtag(self, tag: str) -> None:
        while self._inside and self._inside.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if "body" in self._inside:
            self.words += data.split()


def spoken(text: str) -> list[str]:
    """The words, without the marks that only the text has: a dash line, a colon before a link."""
    return [word.rstrip(":") for word in text.split() if word != "--"]


@pytest.mark.spec("S2-49", partial=True)
@pytest.mark.parametrize("kind", KINDS)
def test_text_and_html_say_the_same(kind: str) -> None:
    """Word for word, every value among them, and each link leads where the text says."""
    message = LETTERS.write(letter(kind))
    shown = Shown(message.html)
    said = spoken(message.text)
    assert [word.rstrip(":") for word in shown.words] == said
    for name in KINDS[kind]:
        assert VALUES[name] in " ".join(message.text.split()), name
        assert html.escape(VALUES[name]).replace("&#x27;", "&#39;").replace("&quot;", "&#34;") in (
            " ".join(message.html.split())
        ), name
    wanted = {VALUES["link"]} if "link" in KINDS[kind] else set()
    assert set(shown.links) == wanted
    assert SENDER.name in message.text
    assert shown.language == "en"


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_fetches_nothing_and_runs_nothing(kind: str) -> None:
    """No picture that tells its sender of the reading, no script; light and dark."""
    page = LETTERS.write(letter(kind)).html
    assert not {"img", "script", "link", "iframe", "form", "object"} & set(Shown(page).tags)
    assert "url(" not in page and "@import" not in page and " src=" not in page
    assert "prefers-color-scheme: dark" in page
    assert page.count("<title>") == 1


def test_every_kind_has_a_template_and_none_is_left_over() -> None:
    assert {path.name for path in TEMPLATES.glob("*.jinja")} == {f"{kind}.jinja" for kind in KINDS}


def test_kinds_differ_in_what_they_say() -> None:
    messages = [LETTERS.write(letter(kind)) for kind in KINDS]
    assert len({message.subject for message in messages}) == len(KINDS)


@pytest.mark.parametrize("number", ["1", "2"])
def test_one_is_one(number: str) -> None:
    ends = "" if number == "1" else "s"
    for kind, unit in (("verify", "hour"), ("magic", "minute"), ("invite", "day")):
        message = LETTERS.write(letter(kind, **{f"{unit}s": number}))
        for text in (message.text, message.html):
            assert re.search(rf"\b{number} {unit}{ends}\b", text)


# --- values --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "name"), [(k, n) for k, names in KINDS.items() for n in names])
def test_a_missing_or_empty_value_is_an_error(kind: str, name: str) -> None:
    """Never an empty place in a letter."""
    values = {each: VALUES[each] for each in KINDS[kind] if each != name}
    with pytest.raises(BadLetter) as caught:
        Letter(kind=kind, to="ada@example.com", values=values, about=ABOUT)
    assert caught.value.details == ((name, "is missing"),)
    for empty in ("", " ", "\n", "\0", "\u200b"):
        with pytest.raises(BadLetter) as caught:
            letter(kind, **{name: empty})
        assert [path for path, _ in caught.value.details] == [name]


def test_a_template_that_wants_more_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "code.jinja").write_text('{% set subject = "x" %}{{ nobody }}')
    with pytest.raises(UndefinedError):
        attrs.evolve(LETTERS, folders=(tmp_path, TEMPLATES)).write(letter("code"))


@pytest.mark.parametrize(
    ("kind", "name", "values"),
    [("verify", "link", ["javascript:alert(1)", "data:text/html,x", "//acme.example", "acme.eu",
                         "https://", "https://a b", "https://a\nb", "https://a\r\nBcc:x",
                         "https://a\0", 'https://a"onclick="x', "https://a<b", "HTTPS://a",
                         "https://ä.example", " https://a", "https://a ",
                         "https://" + "x" * 2001]),
     ("code", "code", ["123", "12 3456", "123456\n", "１２３４５６", "<b>12", "x" * 33, "12345\0"]),
     ("code", "minutes", ["0", "-1", "1.5", "015", "15 ", "٣", "12345", "fifteen", "15\n"]),
     ("verify", "hours", ["0", "1e3"]), ("invite", "days", ["0", "²"])],
)  # fmt: skip
def test_links_codes_and_numbers_are_strict(kind: str, name: str, values: list[str]) -> None:
    for value in values:
        with pytest.raises(BadLetter) as caught:
            letter(kind, **{name: value})
        # What was wrong may be as good as a password.
        assert value.strip() not in caught.value.message or len(value) < 6


def test_what_is_no_letter_is_refused() -> None:
    with pytest.raises(BadLetter, match="no letter of the kind 'spam'"):
        Letter(kind="spam", to="ada@example.com", values={}, about=ABOUT)
    with pytest.raises(BadLetter, match="tenant is not of this letter"):
        letter("code", tenant="x")
    with pytest.raises(BadAddress):
        attrs.evolve(letter("code"), to="ada@example.com\nBcc: eve@example.com")
    for locale in ("", "EN", "../en", "en\n", "en_US", "x" * 9):
        with pytest.raises(BadLetter, match="locale"):
            attrs.evolve(letter("code"), locale=locale)


@pytest.mark.parametrize(
    "evil",
    ["\r\nBcc: eve@example.com", "\n\nhttps://evil.example", "\0", "\x1b[2J", "\u202e", "\u2028",
     "\ud800", "\x85", "\x0b", "\u0600"],
)  # fmt: skip
def test_words_steer_nothing(evil: str) -> None:
    """A device says of itself what it likes, and its letter goes nevertheless."""
    name = f"Evil{evil}GmbH"
    invited = LETTERS.write(letter("invite", tenant=name))
    assert invited.subject.isprintable()
    shown = " ".join(re.sub(r"[^ -~]", " ", name).split())
    assert invited.subject == f"Invitation to {shown}"
    assert shown in " ".join(invited.text.split())
    written = LETTERS.write(letter("new_sign_in", device=name))
    assert f"Device: {shown}\n" in written.text


def test_words_are_cut() -> None:
    message = LETTERS.write(letter("invite", tenant="x" * 1000))
    assert "x" * (MAX_WORDS - 1) + "…" in message.text
    assert "x" * MAX_WORDS not in message.text + message.html + message.subject


@given(st.text(min_size=1))
def test_whatever_is_said_stays_words(said: str) -> None:
    """In HTML it makes no tag; subject and text show what the letter kept of it."""
    try:
        found = letter("invite", tenant=said, role=said)
    except BadLetter:
        assert not any(sign.isprintable() and sign != " " for sign in said[:800])
        return
    message, plain = LETTERS.write(found), LETTERS.write(letter("invite"))
    assert Shown(message.html).tags == Shown(plain.html).tags
    assert message.subject == f"Invitation to {found.values['tenant']}"
    assert found.values["role"].split() == found.values["role"].split(" ")


def test_values_are_in_no_representation() -> None:
    for thing in (letter("reset"), LETTERS.write(letter("reset"))):
        assert VALUES["code"] not in repr(thing)
        assert VALUES["link"] not in repr(thing)


# --- one letter ----------------------------------------------------------------------------------


def test_the_same_letter_is_the_same_message() -> None:
    first, again = (LETTERS.write(letter("code")) for _ in range(2))
    assert first == again
    shouted = LETTERS.write(attrs.evolve(letter("code"), to="ADA@example.COM"))
    assert shouted.message_id == first.message_id


def test_another_letter_has_another_id() -> None:
    others = [
        letter("code"),
        letter("password_changed"),
        attrs.evolve(letter("code"), about=UUID(int=8)),
        attrs.evolve(letter("code"), to="eve@example.com"),
    ]
    ids = {LETTERS.write(each).message_id for each in others}
    assert len(ids) == len(others)
    assert all(re.fullmatch(r"[0-9a-f-]{36}@acme\.example", each) for each in ids)


def test_a_letter_is_in_its_readers_language_or_in_english(tmp_path: Path) -> None:
    (tmp_path / "code.de.jinja").write_text(
        '{% from parts import say %}{% set subject = "Ihr Code" %}'
        "{% call say() %}Ihr Code: {{ code }}{% endcall %}"
    )
    letters = attrs.evolve(LETTERS, folders=(tmp_path, TEMPLATES))
    for locale, subject, language in (
        ("de", "Ihr Code", "de"), ("de-AT", "Ihr Code", "de"), ("fr", "Your code to sign in", "en")
    ):  # fmt: skip
        message = letters.write(attrs.evolve(letter("code"), locale=locale))
        assert message.subject == subject
        assert Shown(message.html).language == language


@pytest.mark.parametrize(
    ("changed", "refusal"),
    [(("subject", "Hi\r\nBcc: eve@example.com"), BadLetter), (("subject", "Hi\0"), BadLetter),
     (("subject", ""), BadLetter), (("subject", "x" * 401), BadLetter),
     (("subject", "\ud800"), BadLetter), (("to", "ada@example.com\r\n"), BadAddress),
     (("to", "ada@example.com, eve@example.com"), BadAddress), (("message_id", "x"), BadLetter),
     (("message_id", "x@y.example>\r\nBcc: eve@example.com"), BadLetter),
     (("text", "a\0b"), BadLetter), (("text", "a\rb"), BadLetter), (("text", " "), BadLetter),
     (("html", "\ud800"), BadLetter), (("html", "x" * 100_001), BadLetter),
     (("html", ""), BadLetter)],
)  # fmt: skip
def test_no_message_carries_what_is_no_letter(
    changed: tuple[str, str], refusal: type[Exception]
) -> None:
    good = LETTERS.write(letter("code"))
    assert attrs.evolve(good) == good
    with pytest.raises(refusal):
        attrs.evolve(good, **dict([changed]))

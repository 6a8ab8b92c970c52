"""One gate for addresses, and one key for all ways to write one."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finora_core.mail.model import BadAddress, MailAddress, Sender, address_key

GOOD = {
    "ada@example.com": "ada@example.com",
    "Ada.Lovelace+news@Example.COM": "Ada.Lovelace+news@example.com",
    "o'brien@example.com": "o'brien@example.com",
    "a@b.co": "a@b.co",
    "1@2.example": "1@2.example",
    "ada@bücher.example": "ada@xn--bcher-kva.example",
    "ada@BÜCHER.Example": "ada@xn--bcher-kva.example",
    "ada@xn--bcher-kva.example": "ada@xn--bcher-kva.example",
    "ada@bu\u0308cher.example": "ada@xn--bcher-kva.example",
    "ada@ｅxample.com": "ada@example.com",
    "ada@xn--strae-oqa.example": "ada@xn--strae-oqa.example",
    "ada@例え.テスト": "ada@xn--r8jz45g.xn--zckzah",
    "ada@почта.рф": "ada@xn--80a1acny.xn--p1ai",
    "x" * 64 + "@example.com": "x" * 64 + "@example.com",
}
BAD = [
    "", "@", "ada", "ada@", "@example.com", "ada@example", "ada@@example.com", "a@b@example.com",
    "ada @example.com", " ada@example.com", "ada@example.com ", "ada@ example.com",
    "ada@exa mple.com", "ada@example.com\n", "ada\n@example.com",
    "ada@example.com\r\nBcc: eve@example.com", "ada@exam\r\nple.com", "ada\0@example.com",
    "ada@example.com\0", "ada@\0.com", "\tada@example.com", "Ada <ada@example.com>",
    "<ada@example.com>", '"ada"@example.com', '"a b"@example.com',
    "ada@example.com,eve@example.com", "ada@example.com;eve@example.com", "ada(x)@example.com",
    ".ada@example.com", "ada.@example.com", "a..da@example.com", "ada@.example.com",
    "ada@example.com.", "ada@example..com", "ada@-example.com", "ada@example-.com",
    "ada@exa_mple.com", "ada@[127.0.0.1]", "ada@127.0.0.1", "ada@example.123", "ada@[IPv6:::1]",
    "ada@2130706433", "x" * 65 + "@example.com", "ada@" + "x" * 64 + ".com",
    "ada@" + "x." * 130 + "com", "x@" + "y" * 300,
    # What is not, and only looks like, an ASCII name.
    "ädå@example.com", "аda@example.com", "ａda@example.com", "ﬁ@example.com",
    "ad\u0131@example.com", "ada\u200b@example.com", "\u202eada@example.com",
    "ada\u0301@example.com", "ada@exam\u200bple.com", "ada@example\u3002com\u2028",
    "ada@a\u2100b.com", "ada@exam\u202eple.com", "ada@\ud800.com", "\ud800@example.com",
    # What the two rules for such names do not agree on.
    "ada@straße.example", "ada@STRAẞE.example", "ada@βόλος.example", "ada@na\u200dme.example",
    "ada@xn--.example", "ada@xn--\x80.example", "ada@xn--999999999.example",
    "ada@" + "\u0301" * 200 + ".example",
]  # fmt: skip


@pytest.mark.parametrize("text", GOOD)
def test_an_address_goes_over_the_wire_in_ascii(text: str) -> None:
    address = MailAddress(text)
    assert (address.text, address.wire) == (text, GOOD[text])
    assert address.key == GOOD[text].lower()
    assert address_key(text) == address.key


@pytest.mark.parametrize("text", BAD)
def test_whatever_else_is_refused(text: str) -> None:
    """And said without the address: what refuses is kept longer than the person is."""
    with pytest.raises(BadAddress) as caught:
        address_key(text)
    assert caught.value.code == "BAD_ADDRESS"
    assert len(text) < 4 or text not in caught.value.message


@given(st.text(max_size=300) | st.text(alphabet="aA@.-xXnN1ßäÄ\u0301ı\r\n\0<> ", max_size=40))
def test_no_text_gets_through_that_is_not_one_line_of_ascii(text: str) -> None:
    try:
        address = MailAddress(text)
    except BadAddress:
        return
    assert re.fullmatch(r"[!-~]+@[a-z0-9.-]+\.[a-z0-9-]+", address.wire)
    assert len(address.wire) <= 254
    assert address_key(address.wire) == address_key(address.key) == address.key


WRITTEN = st.sampled_from([str.upper, str.lower, str.title, str.swapcase])
FORMS = st.sampled_from(["NFC", "NFD", "NFKC", "NFKD"])


@given(
    st.from_regex(r"[a-z0-9]{1,8}@[a-z0-9äöüéñçø]{1,8}\.[a-zäöü]{2,5}", fullmatch=True),
    WRITTEN,
    FORMS,
)
def test_one_address_has_one_key_however_it_is_written(
    text: str, written: object, form: str
) -> None:
    """In whatever case and normal form."""
    assert callable(written)
    name, _, domain = text.partition("@")
    other = unicodedata.normalize(form, written(domain))
    assert address_key(f"{written(name)}@{other}") == address_key(text)


@given(
    st.lists(
        st.from_regex(r"[a-zA-Z]{1,3}@[a-zäöüßıſﬁＡ]{1,3}\.(com|COM)", fullmatch=True), min_size=2
    )
)
def test_equal_keys_are_one_mailbox(texts: list[str]) -> None:
    """Whoever shares a key with somebody shares the place that letters go to: nobody can be written
    to in somebody else's stead."""
    found: dict[str, str] = {}
    for text in texts:
        try:
            address = MailAddress(text)
        except BadAddress:
            continue
        assert found.setdefault(address.key, address.wire.lower()) == address.wire.lower()


@pytest.mark.parametrize(
    ("text", "name", "wire"),
    [("post@acme.example", "Finora", "post@acme.example"),
     ("Acme Money <post@acme.example>", "Acme Money", "post@acme.example"),
     ('"Acme, Inc." <post@acme.example>', "Acme, Inc.", "post@acme.example"),
     ("<post@acme.example>", "Finora", "post@acme.example"),
     (" Zoë  <post@acme.example> ", "Zoë", "post@acme.example")],
)  # fmt: skip
def test_a_sender_has_a_name(text: str, name: str, wire: str) -> None:
    sender = Sender.read(text)
    assert (sender.name, sender.address.wire) == (name, wire)


@pytest.mark.parametrize(
    "text",
    ["", "Acme", "Acme <post@acme.example", "Acme <>", "Acme <post@acme.example> x",
     "<<a@b.example>>", "Ac\r\nme <post@acme.example>", "Ac\0me <post@acme.example>",
     "x" * 101 + " <post@acme.example>"],
)  # fmt: skip
def test_a_sender_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(BadAddress):
        Sender.read(text)

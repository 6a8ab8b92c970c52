"""Telegram: what it signed for this bot, lately, for a person, and nothing else."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

import pytest

from finora_adapters.auth.telegram import BotTelegram
from finora_core.identity.verifiers import TelegramRefused, TelegramUser

BOT = "7342037359:AAHI25ES9xCOMPOkYZGG2pxWhLKm5JdW4Bc"
TELEGRAM = BotTelegram(BOT, 3600)
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SIGNED = int(NOW.timestamp())
USER = {"id": 279058397, "first_name": "Ada", "last_name": "Lovelace", "username": "ada"}


def tag(key: bytes, fields: Mapping[str, Any]) -> str:
    lines = "\n".join(f"{name}={fields[name]}" for name in sorted(fields))
    return hmac.new(key, lines.encode(), hashlib.sha256).hexdigest()


def clicked(bot: str = BOT, **changed: Any) -> dict[str, Any]:
    """What the login button of a page gives."""
    fields: dict[str, Any] = {**USER, "photo_url": "https://t.me/i/1.jpg", "auth_date": SIGNED}
    fields = {name: value for name, value in (fields | changed).items() if value is not None}
    return fields | {"hash": tag(hashlib.sha256(bot.encode()).digest(), fields)}


def launched(bot: str = BOT, user: object = USER, **changed: Any) -> str:
    """The initData of a mini app."""
    fields: dict[str, Any] = {
        "query_id": "AAHdF6IQAAAAAN0XohDhrOrc", "auth_date": SIGNED,
        "user": user if isinstance(user, str) else json.dumps(user, separators=(",", ":")),
        "signature": "x" * 86,
    }  # fmt: skip
    fields = {name: value for name, value in (fields | changed).items() if value is not None}
    key = hmac.new(b"WebAppData", bot.encode(), hashlib.sha256).digest()
    return urlencode(fields | {"hash": tag(key, fields)}, quote_via=quote)


def test_a_click_of_the_login_button() -> None:
    user = TELEGRAM.widget(clicked(), NOW)
    assert (user.id, user.name, user.username) == (279058397, "Ada Lovelace", "ada")
    texts = {name: str(value) for name, value in clicked().items()}
    assert TELEGRAM.widget(texts, NOW) == user
    shown = TELEGRAM.widget(clicked(last_name=None, username=None), NOW)
    assert (shown.name, shown.username) == ("Ada", None)


@pytest.mark.spec("S4-58", partial=True)
def test_a_launch_of_the_mini_app() -> None:
    user = TELEGRAM.launch(launched(), NOW)
    assert (user.id, user.name, user.username) == (279058397, "Ada Lovelace", "ada")
    assert TELEGRAM.launch(launched(user=USER | {"is_bot": False}), NOW).id == user.id
    other = TELEGRAM.launch(launched(user={"id": 7, "first_name": "Žofie & co"}), NOW)
    assert other == TelegramUser(id=7, name="Žofie & co", username=None, digest=other.digest)


def test_the_documented_example_of_a_launch() -> None:
    """Signed here as the documentation says: fields sorted, values decoded."""
    decoded = dict(parse_qsl(launched()))
    given = decoded.pop("hash")
    key = hmac.new(b"WebAppData", BOT.encode(), hashlib.sha256).digest()
    lines = "\n".join(sorted(f"{name}={value}" for name, value in decoded.items()))
    assert hmac.new(key, lines.encode(), hashlib.sha256).hexdigest() == given


@pytest.mark.spec("S4-59", partial=True)
def test_the_same_launch_has_the_same_digest_and_another_has_another() -> None:
    first = TELEGRAM.launch(launched(), NOW)
    assert TELEGRAM.launch(launched(), NOW + timedelta(minutes=5)) == first
    shuffled = "&".join(reversed(launched().split("&")))
    assert TELEGRAM.launch(shuffled, NOW) == first
    assert len(first.digest) == 32
    # What is kept of it is no way in.
    assert first.digest.hex() not in launched()
    assert TELEGRAM.launch(launched(auth_date=SIGNED + 1), NOW).digest != first.digest


@pytest.mark.spec("S4-58", partial=True)
@pytest.mark.parametrize(
    ("age_s", "fine"), [(0, True), (3600, True), (3601, False), (-60, True), (-61, False),
                        (86_400 * 365, False)],
)  # fmt: skip
def test_what_is_too_old_proves_nothing(age_s: int, fine: bool) -> None:
    now = NOW + timedelta(seconds=age_s)
    for ask in (lambda: TELEGRAM.widget(clicked(), now), lambda: TELEGRAM.launch(launched(), now)):
        if fine:
            assert ask().id == 279058397
        else:
            with pytest.raises(TelegramRefused, match="too long ago"):
                ask()


@pytest.mark.parametrize(
    "when", ["", "0", "-1", "1e9", "９" * 10, "9" * 10, "9" * 12, "9" * 40, "now", None, " 1"]
)
def test_a_time_is_a_number(when: str | None) -> None:
    with pytest.raises(TelegramRefused):
        TELEGRAM.widget(clicked(auth_date=when), NOW)
    with pytest.raises(TelegramRefused):
        TELEGRAM.launch(launched(auth_date=when), NOW)


@pytest.mark.spec("S4-58", partial=True)
def test_bots_are_rejected() -> None:
    for said in (True, "true", 1, "yes", []):
        with pytest.raises(TelegramRefused, match="bot"):
            TELEGRAM.launch(launched(user=USER | {"is_bot": said}), NOW)
    with pytest.raises(TelegramRefused, match="bot"):
        TELEGRAM.widget(clicked(is_bot="true"), NOW)


def test_one_way_in_is_not_the_other_and_one_bot_not_another() -> None:
    with pytest.raises(TelegramRefused, match="for this bot"):
        TELEGRAM.widget(clicked(bot="1:other"), NOW)
    with pytest.raises(TelegramRefused, match="for this bot"):
        TELEGRAM.launch(launched(bot="1:other"), NOW)
    with pytest.raises(TelegramRefused, match="for this bot"):
        TELEGRAM.widget(dict(parse_qsl(launched())), NOW)
    with pytest.raises(TelegramRefused):
        TELEGRAM.launch(urlencode(clicked()), NOW)


@pytest.mark.parametrize("given", ["", "0" * 64, "A" * 64, "x" * 64, "é" * 64, "0" * 63, "0" * 65])
def test_a_tag_is_the_one_that_was_made(given: str) -> None:
    with pytest.raises(TelegramRefused):
        TELEGRAM.widget(clicked() | {"hash": given}, NOW)
    with pytest.raises(TelegramRefused):
        TELEGRAM.launch(urlencode(dict(parse_qsl(launched())) | {"hash": given}), NOW)
    right = clicked()["hash"]
    with pytest.raises(TelegramRefused):
        TELEGRAM.widget(clicked() | {"hash": right.upper()}, NOW)


@pytest.mark.parametrize("field", ["id", "first_name", "username", "auth_date", "photo_url"])
def test_no_field_can_be_changed_added_or_left_out(field: str) -> None:
    data = clicked()
    for changed in (
        data | {field: "1"},
        {name: value for name, value in data.items() if name != field},
        data | {field + "2": data[field]},
    ):
        with pytest.raises(TelegramRefused):
            TELEGRAM.widget(changed, NOW)


def test_no_sign_of_a_launch_can_be_changed() -> None:
    data = launched()
    for place in range(len(data)):
        changed = data[:place] + ("b" if data[place] == "a" else "a") + data[place + 1 :]
        if dict(parse_qsl(changed)) == dict(parse_qsl(data)):
            continue
        with pytest.raises(TelegramRefused):
            TELEGRAM.launch(changed, NOW)


def test_a_field_that_joins_two_lines_is_not_taken_for_two() -> None:
    data = clicked(last_name=None, username=None)
    joined = {"first_name": f"Ada\nid={data['id']}", **data}
    del joined["id"]
    joined["first_name"] = f"Ada\nid={data['id']}"
    with pytest.raises(TelegramRefused, match="one line"):
        TELEGRAM.widget(joined, NOW)


TWICE = launched()
BROKEN = {
    "empty": "", "no fields": "abc", "no hash": "auth_date=1&user={}", "an ampersand": "&",
    "a field twice": TWICE + "&auth_date=" + str(SIGNED),
    "a hash twice": TWICE + "&hash=" + "0" * 64,
    "no user": launched(user=USER).replace("user=", "person="), "huge": "a=" + "b" * 100_000,
    "many fields": "&".join(f"a{n}=1" for n in range(1000)), "a bare field": TWICE + "&x",
    "not UTF-8": TWICE + "&x=%ff", "surrogates": TWICE + "&x=\ud800",
    "a user twice over": launched(user='{"id":1,"id":2,"first_name":"a"}'),
    "a list": launched(user="[1]"), "a text": launched(user='"x"'), "no JSON": launched(user="{"),
    "deep": launched(user="[" * 5000), "NaN": launched(user='{"id":NaN}'),
    "no id": launched(user={"first_name": "a"}), "an id of 0": launched(user=USER | {"id": 0}),
    "a negative id": launched(user=USER | {"id": -5}),
    "id true": launched(user=USER | {"id": True}),
    "a broken id": launched(user=USER | {"id": 1.5}),
    "a huge id": launched(user=USER | {"id": 10**30}),
    "a name that is none": launched(user=USER | {"first_name": ["a"]}),
}  # fmt: skip


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN.keys())
def test_what_is_no_launch_is_refused(data: str) -> None:
    with pytest.raises(TelegramRefused) as caught:
        TELEGRAM.launch(data, NOW)
    assert caught.value.code == "TELEGRAM_REFUSED"
    assert BOT not in str(caught.value)


@pytest.mark.parametrize(
    "data",
    [{}, {"hash": "0" * 64}, {"id": [1]}, {"id": None}, {f"a{n}": 1 for n in range(1000)},
     {"id": True, "hash": "0" * 64}, {"id": "x" * 100_000}],
)  # fmt: skip
def test_what_is_no_click_is_refused(data: dict[str, Any]) -> None:
    with pytest.raises(TelegramRefused):
        TELEGRAM.widget(data, NOW)


def test_the_bot_s_token_is_in_no_text() -> None:
    assert BOT not in repr(TELEGRAM)
    assert "AAHI25ES9" not in str(TELEGRAM)

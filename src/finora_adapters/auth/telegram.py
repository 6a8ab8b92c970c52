"""Who Telegram says is there: the login button of a page, and the `initData` of a mini app."""

import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

import attrs

from finora_adapters.auth.jose import object_of, once
from finora_core.identity.verifiers import TelegramRefused, TelegramUser

_TAG = re.compile(r"[0-9a-f]{64}")
_WHEN = re.compile(r"[0-9]{1,10}")
_SKEW = timedelta(seconds=60)
_MOST_FIELDS, _MOST_BYTES = 32, 8192


@attrs.frozen
class BotTelegram:
    """`max_age_s` is for how long after Telegram signed it something proves who is there."""

    token: str = attrs.field(repr=False)
    max_age_s: int = 3600

    def widget(self, data: Mapping[str, str | int], now: datetime) -> TelegramUser:
        if len(data) > _MOST_FIELDS or any(
            type(value) not in (str, int) or len(str(value)) > _MOST_BYTES
            for value in data.values()
        ):
            raise TelegramRefused("the data is not that of the login button")
        fields = {name: str(value) for name, value in data.items()}
        key = hashlib.sha256(self.token.encode()).digest()
        return self._proven(fields, key, now, fields)

    def launch(self, init_data: str, now: datetime) -> TelegramUser:
        if len(init_data.encode("utf-8", "replace")) > _MOST_BYTES:
            raise TelegramRefused("the initData is too long")
        try:
            pairs = parse_qsl(
                init_data,
                keep_blank_values=True,
                strict_parsing=True,
                max_num_fields=_MOST_FIELDS,
                errors="strict",
            )
            fields = once(pairs)
            user = object_of(fields["user"].encode())
        except (KeyError, ValueError) as error:
            raise TelegramRefused("this is no initData of a mini app") from error
        key = hmac.digest(b"WebAppData", self.token.encode(), "sha256")
        return self._proven(fields, key, now, user)

    def _proven(
        self, fields: Mapping[str, str], key: bytes, now: datetime, user: Mapping[str, Any]
    ) -> TelegramUser:
        # Signed are lines, so that a line break would let one field pass for two.
        if any("\n" in text for field in fields.items() for text in field):
            raise TelegramRefused("a field has one line")
        given = fields.get("hash", "")
        lines = (f"{name}={value}" for name, value in sorted(fields.items()) if name != "hash")
        tag = hmac.digest(key, "\n".join(lines).encode("utf-8", "replace"), "sha256")
        if not _TAG.fullmatch(given) or not hmac.compare_digest(tag, bytes.fromhex(given)):
            raise TelegramRefused("this was not signed for this bot")
        when = fields.get("auth_date", "")
        if not _WHEN.fullmatch(when):
            raise TelegramRefused("it does not say when it was signed")
        age = now.astimezone(UTC) - datetime.fromtimestamp(int(when), UTC)
        if not -_SKEW <= age <= timedelta(seconds=self.max_age_s):
            raise TelegramRefused("it was signed too long ago")
        return _user(user, hashlib.sha256(tag).digest())


def _user(said: Mapping[str, Any], digest: bytes) -> TelegramUser:
    # The login button sends texts, a mini app JSON.
    if said.get("is_bot") not in (None, False, "false"):
        raise TelegramRefused("a person signs in, not a bot")
    number = str(said.get("id", ""))
    first, last, username = (said.get(name) for name in ("first_name", "last_name", "username"))
    texts = all(each is None or isinstance(each, str) for each in (first, last, username))
    if isinstance(said.get("id"), bool) or not re.fullmatch(r"[1-9][0-9]{0,15}", number):
        raise TelegramRefused("it does not say who is there")
    if not texts:
        raise TelegramRefused("a name is a text")
    name = " ".join(part for part in (first, last) if part)
    return TelegramUser(
        id=int(number), name=name or number, username=username or None, digest=digest
    )

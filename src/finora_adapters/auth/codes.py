"""One-time codes of authenticator apps: RFC 6238, six digits, thirty seconds, SHA-1."""

import base64
import hmac
import secrets
from datetime import datetime

from pyotp import TOTP

DIGITS, STEP_S, WINDOW = 6, 30, 1


class TotpCodes:
    def new_secret(self) -> bytes:
        return secrets.token_bytes(20)

    def uri(self, secret: bytes, account: str, issuer: str) -> str:
        return _totp(secret).provisioning_uri(name=account, issuer_name=issuer)

    def step(self, secret: bytes, code: str, now: datetime, after: int | None) -> int | None:
        if len(code) != DIGITS or not (code.isascii() and code.isdigit()):
            return None
        totp, present = _totp(secret), int(now.timestamp()) // STEP_S
        found = None
        # Every step is looked at, so that the time it takes says nothing. Of two with one code the
        # later counts: it uses up both.
        for step in range(max(0, present - WINDOW), present + WINDOW + 1):
            same = hmac.compare_digest(totp.generate_otp(step), code)
            if same and (after is None or step > after):
                found = step
        return found


def _totp(secret: bytes) -> TOTP:
    return TOTP(base64.b32encode(secret).decode().rstrip("="), digits=DIGITS, interval=STEP_S)

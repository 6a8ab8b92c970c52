"""Letters by JMAP (RFC 8620, 8621), as Fastmail, Cyrus and Stalwart speak it.

httpx2 is imported when a letter is sent, not before.
"""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urljoin, urlsplit

import attrs

from finora_adapters.mail.server import check_jmap
from finora_core.mail.model import Message, Sender
from finora_core.mail.ports import MailRefused, MailUnavailable

_CORE = "urn:ietf:params:jmap:core"
_MAIL = "urn:ietf:params:jmap:mail"
_SUBMISSION = "urn:ietf:params:jmap:submission"
_LARGEST = 4 << 20
_BAD_RECIPIENT = ("invalidRecipients", "noRecipients")

Call = tuple[str, dict[str, Any]]


@attrs.frozen(kw_only=True)
class _Account:
    """Where to ask, and the ids of what a letter goes through."""

    api: str
    id: str
    identity: str
    drafts: str
    sent: str


@attrs.frozen
class JmapMailer:
    """Three requests a letter; the folder of sent letters keeps it."""

    url: str
    """Of the session."""
    token: str = attrs.field(repr=False)
    sender: Sender
    connect_s: int = 5
    answer_s: int = 20

    @property
    def way(self) -> str:
        return f"JMAP through {self._host}"

    def send(self, message: Message) -> None:
        with self._client() as client:
            api, account_id = self._session(client)
            account, was_sent = self._account(client, api, account_id, message)
            if not was_sent:
                self._submit(client, account, message)

    def _session(self, client: Any) -> tuple[str, str]:
        """Where to ask, and for which account."""
        found, url = self._read(client, "GET", self.url, follow_redirects=True)
        api = urljoin(url, str(found["apiUrl"]))
        try:
            check_jmap(api)
        except ValueError:
            raise MailUnavailable(f"{self._host} would have the token go elsewhere") from None
        account_id = found["primaryAccounts"].get(_MAIL)
        if account_id is None or found["primaryAccounts"].get(_SUBMISSION) != account_id:
            raise MailUnavailable(f"{self._host}: with this token no mail can be sent")
        return api, str(account_id)

    def _account(
        self, client: Any, api: str, account_id: str, message: Message
    ) -> tuple[_Account, bool]:
        """With whether an earlier attempt got through of which we had no answer."""
        same = {"header": ["Message-ID", message.message_id], "notKeyword": "$draft"}
        folders, identities, found = self._ask(client, api, [
            ("Mailbox/get", {"accountId": account_id, "ids": None, "properties": ["role"]}),
            ("Identity/get", {"accountId": account_id, "ids": None}),
            ("Email/query", {"accountId": account_id, "filter": same, "limit": 1}),
        ], optional="Email/query")  # fmt: skip
        of_role = {each["role"]: each["id"] for each in folders["list"] if each.get("role")}
        if "drafts" not in of_role or "sent" not in of_role:
            raise MailUnavailable(f"{self._host}: the account has no folder of drafts or of sent")
        account = _Account(
            api=api,
            id=account_id,
            identity=self._identity(identities["list"]),
            drafts=of_role["drafts"],
            sent=of_role["sent"],
        )
        return account, bool(found.get("ids"))

    def _identity(self, identities: Sequence[dict[str, Any]]) -> str:
        """The one that may send as our sender: by its address, or as any of its domain."""
        wanted = self.sender.address
        for allowed in (wanted.key, f"*@{wanted.domain.casefold()}"):
            for each in identities:
                if str(each.get("email")).casefold() == allowed:
                    return str(each["id"])
        raise MailUnavailable(f"{self._host}: the account may not send as FINORA_MAIL_FROM says")

    def _submit(self, client: Any, account: _Account, message: Message) -> None:
        draft = {"accountId": account.id, "create": {"letter": self._email(message, account)}}
        envelope = {
            "mailFrom": {"email": self.sender.address.wire},
            "rcptTo": [{"email": message.to.wire}],
        }
        sending = {"emailId": "#letter", "identityId": account.identity, "envelope": envelope}
        # Out of the drafts, but only when it is on its way.
        moved = {
            f"mailboxIds/{account.drafts}": None,
            f"mailboxIds/{account.sent}": True,
            "keywords/$draft": None,
        }
        submission = {
            "accountId": account.id,
            "create": {"sending": sending},
            "onSuccessUpdateEmail": {"#sending": moved},
        }
        email, submitted = self._ask(
            client, account.api, [("Email/set", draft), ("EmailSubmission/set", submission)]
        )
        made = (email.get("created") or {}).get("letter")
        if made is None:
            raise MailUnavailable(f"{self._host} does not take the letter ({_why(email)})")
        if (submitted.get("created") or {}).get("sending"):
            return
        with suppress(MailUnavailable):
            remove = {"accountId": account.id, "destroy": [made["id"]]}
            self._ask(client, account.api, [("Email/set", remove)])
        if _why(submitted) in _BAD_RECIPIENT:
            raise MailRefused(f"{self._host} refuses the recipient ({_why(submitted)})")
        raise MailUnavailable(f"{self._host} does not send the letter ({_why(submitted)})")

    def _email(self, message: Message, account: _Account) -> dict[str, Any]:
        return {
            "mailboxIds": {account.drafts: True},
            "keywords": {"$draft": True, "$seen": True},
            "from": [{"name": self.sender.name, "email": self.sender.address.wire}],
            "to": [{"name": None, "email": message.to.wire}],
            "subject": message.subject,
            "messageId": [message.message_id],
            "header:Auto-Submitted:asText": "auto-generated",
            "bodyValues": {"text": {"value": message.text}, "html": {"value": message.html}},
            "textBody": [{"partId": "text", "type": "text/plain"}],
            "htmlBody": [{"partId": "html", "type": "text/html"}],
        }

    # --- the wire --------------------------------------------------------------------------------

    @contextmanager
    def _client(self) -> Iterator[Any]:
        import httpx2

        try:
            with httpx2.Client(
                headers={"Authorization": f"Bearer {self.token}", "Accept": "application/json"},
                timeout=httpx2.Timeout(self.answer_s, connect=self.connect_s),
                trust_env=False,
            ) as client:
                yield client
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise MailUnavailable(f"{self._host} does not answer: {type(error).__name__}") from None
        except (LookupError, TypeError, AttributeError, ValueError) as error:
            raise MailUnavailable(f"{self._host} does not answer as JMAP does") from error

    def _ask(
        self, client: Any, api: str, calls: Sequence[Call], *, optional: str = ""
    ) -> list[dict[str, Any]]:
        """The answer of each call, in their order; the optional one may be one that the server
        cannot do."""
        named = [[name, arguments, str(n)] for n, (name, arguments) in enumerate(calls)]
        body = {"using": [_CORE, _MAIL, _SUBMISSION], "methodCalls": named}
        found, _ = self._read(client, "POST", api, json=body)
        answers: dict[str, dict[str, Any]] = {}
        for name, answer, number in found["methodResponses"]:
            if number in answers:
                continue  # What the call caused beside its own answer: the letter is on its way.
            if name == "error" and calls[int(number)][0] != optional:
                raise MailUnavailable(f"{self._host} cannot do it ({answer.get('type')})")
            answers[number] = answer
        return [answers[str(n)] for n in range(len(calls))]

    def _read(self, client: Any, method: str, url: str, **more: Any) -> tuple[Any, str]:
        """The JSON that is there, at most 4 MB of it, and where it was found in the end."""
        read, ends = bytearray(), time.monotonic() + 3 * self.answer_s
        with client.stream(method, url, **more) as response:
            if response.status_code in (401, 403):
                raise MailUnavailable(f"{self._host} does not take the token")
            if response.status_code != 200:
                raise MailUnavailable(f"{self._host} answers {response.status_code}")
            for piece in response.iter_bytes():
                read += piece
                if len(read) > _LARGEST or time.monotonic() > ends:
                    raise MailUnavailable(f"{self._host} does not answer as JMAP does")
        try:
            return json.loads(read), str(response.url)
        except (ValueError, RecursionError):
            raise MailUnavailable(f"{self._host} does not answer as JMAP does") from None

    @property
    def _host(self) -> str:
        return urlsplit(self.url).hostname or ""


def _why(answer: dict[str, Any]) -> str:
    """The kind of the one thing that was not made."""
    for each in (answer.get("notCreated") or {}).values():
        return str(each.get("type"))
    return "no reason given"

"""Letters by SMTP."""

import re
import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import attrs

from finora_adapters.mail.mime import built
from finora_adapters.mail.server import SmtpServer
from finora_core.mail.model import Message, Sender
from finora_core.mail.ports import MailRefused, MailUnavailable

# The numbers that say whose fault it is; the words around them are the server's, and may hold the
# recipient's address.
_STATUS = re.compile(rb"\b[245]\.\d{1,3}\.\d{1,3}\b")


@attrs.frozen
class SmtpMailer:
    """One connection a letter. `answer_s` is for every answer of the server."""

    server: SmtpServer
    sender: Sender
    context: ssl.SSLContext | None = attrs.field(default=None, repr=False)
    """In place of the system's certificates."""
    answer_s: int = 20

    @property
    def way(self) -> str:
        return f"SMTP through {self.server.host}:{self.server.port}"

    def send(self, message: Message) -> None:
        mail = built(message, self.sender, "quoted-printable")
        with self._translated(), self._connected() as client:
            # Not send_message: it writes ">From" where a line begins with "From".
            client.sendmail(self.sender.address.wire, [message.to.wire], mail.as_bytes())

    @contextmanager
    def _connected(self) -> Iterator[smtplib.SMTP]:
        place, context = self.server, self._tls()
        # Our own name: to ask the system for it may take longer than the letter.
        name = self.sender.address.domain
        client: smtplib.SMTP
        if place.tls == "first":
            client = smtplib.SMTP_SSL(
                place.host, place.port, name, timeout=self.answer_s, context=context
            )
        else:
            client = smtplib.SMTP(place.host, place.port, name, timeout=self.answer_s)
        try:
            client.ehlo_or_helo_if_needed()
            if place.tls != "first" and client.has_extn("starttls"):
                client.starttls(context=context)
            elif place.tls == "required":
                raise MailUnavailable(f"{place.host} has no STARTTLS, and nothing goes without it")
            if place.user:
                client.login(place.user, place.password)
            yield client
        finally:
            # What was taken is taken, however the server says good-bye.
            try:
                client.quit()
            except (smtplib.SMTPException, OSError):
                client.close()

    def _tls(self) -> ssl.SSLContext:
        if self.server.tls != "offered":
            return self.context or ssl.create_default_context()
        # This machine's own server has a certificate of its own making.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Raise refusals in place of what smtplib raises, and keep nothing of it: a job's error
        is kept longer than the recipient may want to be known."""
        host = self.server.host
        try:
            yield
        except smtplib.SMTPRecipientsRefused as error:
            [(code, said)] = error.recipients.values()
            raise _refused(host, "the recipient", code, said) from None
        except smtplib.SMTPAuthenticationError as error:
            raise MailUnavailable(f"{host} does not take the login ({error.smtp_code})") from None
        except smtplib.SMTPNotSupportedError:
            raise MailUnavailable(f"{host} offers no login") from None
        except (
            smtplib.SMTPSenderRefused,
            smtplib.SMTPConnectError,
            smtplib.SMTPHeloError,
        ) as error:
            raise MailUnavailable(
                f"{host} takes no mail from us ({_numbers(error.smtp_code, error.smtp_error)})"
            ) from None
        except smtplib.SMTPDataError as error:
            raise _refused(host, "the letter", error.smtp_code, error.smtp_error) from None
        except ssl.SSLError as error:
            reason = getattr(error, "verify_message", "") or error.reason or "TLS failed"
            raise MailUnavailable(f"no sure connection to {host}: {reason}") from None
        except (smtplib.SMTPException, OSError, ValueError) as error:
            # ValueError: an answer that is no SMTP.
            raise MailUnavailable(f"{host} does not answer: {type(error).__name__}") from None


def _refused(host: str, what: str, code: int, said: bytes | str) -> MailUnavailable | MailRefused:
    numbers = _numbers(code, said)
    # 530 and x.7.x are about who sends: the operator can set that right, the recipient cannot.
    if code >= 500 and code != 530 and ".7." not in numbers:
        return MailRefused(f"{host} refuses {what} ({numbers})")
    return MailUnavailable(f"{host} does not take {what} now ({numbers})")


def _numbers(code: int, said: bytes | str) -> str:
    found = _STATUS.search(said.encode() if isinstance(said, str) else said)
    return f"{code} {found[0].decode()}" if found else str(code)

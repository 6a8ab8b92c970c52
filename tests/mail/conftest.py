"""A mail server, and a letter that is hard to carry."""

from collections.abc import Iterator

import pytest

from finora_core.mail.model import Message, Sender
from mail.post import Post, serving

SENDER = Sender.read("Zoë’s “Money” <post@finora.example>")


@pytest.fixture
def post() -> Iterator[Post]:
    with serving(Post()) as found:
        yield found


@pytest.fixture
def message() -> Message:
    return Message(
        to="ada@example.com",
        subject="Bestätigen Sie, naïve 読者 🦉, daß es " + "sehr " * 40 + "eilt",
        text=f"Grüße 🦉\n.\n..\nFrom us\n{'long ' * 1000}\n{'x' * 5000}\n  indented\n-- \nFinora\n",
        html=f'<p lang="de">Grüße <a href="https://finora.example/?a=1&amp;t=2">{"y" * 3000}</a>',
        message_id="0193f3c2-0000-8000-8000-000000000001@finora.example",
    )

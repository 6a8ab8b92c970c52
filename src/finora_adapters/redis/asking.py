"""Questions to Redis in one round trip; and none for a moment after it did not answer."""

import hashlib
import os
import time
from collections.abc import Callable, Sequence
from typing import Any

import attrs
import redis
from redis.exceptions import NoScriptError

_PAUSE_S = 1.0


@attrs.frozen
class Script:
    """Lua, named by its digest."""

    text: str
    digest: str = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "digest", hashlib.sha1(self.text.encode()).hexdigest())

    def with_keys(self, keys: Sequence[str], *arguments: object) -> "Question":
        return Question(("EVALSHA", self.digest, len(keys), *keys, *arguments), self)


@attrs.frozen
class Question:
    """A command; with the script that it names, which the server may not know yet."""

    command: tuple[Any, ...]
    script: Script | None = None

    @property
    def whole(self) -> tuple[Any, ...]:
        assert self.script is not None
        return ("EVAL", self.script.text, *self.command[2:])


@attrs.define
class Asker:
    """Keeps its connections out of the client's pool, which looks at one, locks and counts at every
    hand-over: nearly half of what a round trip costs here."""

    client: redis.Redis
    asked: Callable[[bool], None] = lambda answered: None
    """Told of every round trip, whether it was answered."""
    _away_until: float = 0.0
    _idle: list[Any] = attrs.field(factory=list)
    """Connections that nobody uses now: as many as ever asked at once."""
    _pid: int = attrs.field(factory=os.getpid)

    def ask(self, *questions: Question) -> list[Any] | None:
        """The answers, or None where Redis does not answer."""
        # While Redis is away a request must not wait for it each time anew.
        if time.monotonic() < self._away_until:
            return None
        try:
            answers = self._run([each.command for each in questions])
            for place, answer in enumerate(answers):
                if isinstance(answer, NoScriptError):
                    answers[place] = self._run([questions[place].whole])[0]
            for answer in answers:
                if isinstance(answer, Exception):
                    raise answer
        except (redis.RedisError, OSError):
            self.asked(False)
            self._away_until = time.monotonic() + _PAUSE_S
            return None
        self.asked(True)
        return answers

    def _run(self, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        if self._pid != os.getpid():
            # After a fork they are the other process's.
            self._idle, self._pid = [], os.getpid()
        try:
            connection, kept = self._idle.pop(), True
        except IndexError:
            connection, kept = self.client.connection_pool.get_connection(), False
        try:
            return _answers(connection, commands)
        except redis.ConnectionError:
            # It may have been closed since it was last used, as when the server was started anew.
            # Whatever is asked here may be asked twice: at worst one request counts as two.
            if not kept:
                raise
            return _answers(connection, commands)
        finally:
            if connection.should_reconnect():
                connection.disconnect()
            self._idle.append(connection)


def _answers(connection: Any, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
    """Of each its answer, or the server's refusal. A connection that failed is closed, and opens by
    itself when it is next used."""
    answers: list[Any] = []
    try:
        connection.send_packed_command(connection.pack_commands(commands))
        for _ in commands:
            try:
                answers.append(connection.read_response())
            except redis.ResponseError as error:
                answers.append(error)
    except BaseException:
        # What it would answer yet is not the next one's.
        connection.disconnect()
        raise
    return answers

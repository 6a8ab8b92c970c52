"""Questions to Redis in one round trip; and none for a moment after it did not answer."""

import hashlib
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
    client: redis.Redis
    asked: Callable[[bool], None] = lambda answered: None
    """Told of every round trip, whether it was answered."""
    _away_until: float = 0.0

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
        if len(commands) == 1:
            try:
                return [self.client.execute_command(*commands[0])]  # type: ignore[no-untyped-call]  # upstream
            except NoScriptError as error:
                return [error]
        pipeline = self.client.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)  # type: ignore[no-untyped-call]  # upstream
        return pipeline.execute(raise_on_error=False)

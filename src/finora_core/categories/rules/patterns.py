"""Regular expressions that cannot hang: time grows with the text, whatever the pattern.

The standard library's engine tries one way after the other and may need more steps than there are
atoms. Here all ways advance together (Thompson's construction), and the sets of places that come up
are kept as states, so that a text mostly costs one look-up a character. What would need
backtracking (references to groups, looking ahead or behind) is refused. Case does not matter, and
neither groups nor greed are needed to say whether a text matches.
"""

from collections.abc import Callable, Iterable

import attrs

from finora_core.kernel.errors import Invalid

MAX_PATTERN = 200
MAX_NODES = 400
MAX_NESTING = 20
_ROOM = 20_000
"""How many transitions a pattern keeps before it starts to learn them again."""


class BadPattern(Invalid):
    """The regular expression cannot be read, or is of a kind that could take forever."""

    code = "BAD_PATTERN"


Fits = Callable[[str], bool]


def _is_word(character: str) -> bool:
    return character == "_" or character.isalnum()


_CLASSES: dict[str, Fits] = {
    "d": lambda c: c.isdecimal(),
    "w": _is_word,
    "s": lambda c: c.isspace(),
    "D": lambda c: not c.isdecimal(),
    "W": lambda c: not _is_word(c),
    "S": lambda c: not c.isspace(),
}
_CONTROLS = {"t": "\t", "n": "\n", "r": "\r", "f": "\f", "v": "\v"}
_ANCHORS = {"b": "edge", "B": "no_edge", "A": "first", "Z": "last"}


# What a pattern says, as a tree.


@attrs.frozen
class _One:
    fits: Fits


@attrs.frozen
class _At:
    """A place between characters: first, last, edge, no_edge."""

    what: str


@attrs.frozen
class _Row:
    parts: tuple["_Tree", ...]


@attrs.frozen
class _Either:
    parts: tuple["_Tree", ...]


@attrs.frozen
class _Times:
    part: "_Tree"
    least: int
    most: int | None


_Tree = _One | _At | _Row | _Either | _Times


def _letter(wanted: str) -> Fits:
    folded = wanted.casefold()
    return lambda c: c.casefold() == folded


@attrs.define
class _Reader:
    """Recursive descent over the usual syntax."""

    text: str
    at: int = 0
    depth: int = 0

    def whole(self) -> _Tree:
        if self.text.startswith("(?i)"):
            self.at = 4
        tree = self.either()
        if self.at < len(self.text):
            raise self.wrong("an unopened parenthesis")
        return tree

    def wrong(self, what: str) -> BadPattern:
        return BadPattern(f"{self.text[:MAX_PATTERN]!r} has {what} at character {self.at + 1}")

    def peek(self, ahead: int = 0) -> str:
        place = self.at + ahead
        return self.text[place] if place < len(self.text) else ""

    def take(self) -> str:
        taken = self.peek()
        if not taken:
            raise self.wrong("no end")
        self.at += 1
        return taken

    def either(self) -> _Tree:
        parts = [self.row()]
        while self.peek() == "|":
            self.at += 1
            parts.append(self.row())
        return parts[0] if len(parts) == 1 else _Either(tuple(parts))

    def row(self) -> _Tree:
        parts: list[_Tree] = []
        while self.peek() not in ("", "|", ")"):
            parts.append(self.repeated(self.atom()))
        return parts[0] if len(parts) == 1 else _Row(tuple(parts))

    def repeated(self, part: _Tree) -> _Tree:
        bounds = self.bounds()
        if bounds is None:
            return part
        if isinstance(part, _At):
            raise self.wrong("a place repeated")
        if self.peek() == "?":
            self.at += 1  # Lazy or greedy: the same texts match.
        if self.peek() == "+" or self.bounds() is not None:
            raise self.wrong("a repetition repeated")
        return _Times(part, *bounds)

    def bounds(self) -> tuple[int, int | None] | None:
        simple = {"*": (0, None), "+": (1, None), "?": (0, 1)}.get(self.peek())
        if simple is not None:
            self.at += 1
            return simple
        if self.peek() != "{":
            return None
        end = self.text.find("}", self.at)
        least, comma, most = self.text[self.at + 1 : max(end, 0)].partition(",")
        if end < 0 or not (least + most).isdecimal() or not (least + most).isascii():
            return None  # A brace is a brace.
        self.at = end + 1
        low, high = int(least or 0), int(most) if most else (None if comma else int(least))
        if max(low, high or 0) > MAX_NODES or (high is not None and high < low):
            raise self.wrong("a repetition that is too long or ends before it begins")
        return low, high

    def atom(self) -> _Tree:
        match taken := self.take():
            case "(":
                return self.group()
            case "[":
                return _One(self.set())
            case ".":
                return _One(lambda c: c != "\n")
            case "^":
                return _At("first")
            case "$":
                return _At("last")
            case "\\":
                if self.peek() in _ANCHORS:
                    return _At(_ANCHORS[self.take()])
                return _One(self.escaped())
            case "*" | "+" | "?":
                self.at -= 1
                raise self.wrong("nothing to repeat")
            case _:
                return _One(_letter(taken))

    def group(self) -> _Tree:
        if self.peek() == "?":
            self.at += 1
            kind = self.take()
            if kind == "P" and self.peek() == "<":
                kind = self.take()
            if kind == "<" and self.peek() not in ("=", "!"):
                while self.take() != ">":
                    pass
            elif kind != ":":
                raise self.wrong("a group that looks around, or is of an unknown kind,")
        self.depth += 1
        if self.depth > MAX_NESTING:
            raise self.wrong(f"groups nested deeper than {MAX_NESTING}")
        inner = self.either()
        self.depth -= 1
        if self.peek() != ")":
            raise self.wrong("an unclosed parenthesis")
        self.at += 1
        return inner

    def escaped(self) -> Fits:
        taken = self.take()
        if taken in _CLASSES:
            return _CLASSES[taken]
        return _letter(self.literal(taken))

    def literal(self, taken: str) -> str:
        """The character that an escape stands for."""
        if taken in _CONTROLS:
            return _CONTROLS[taken]
        width = {"x": 2, "u": 4}.get(taken)
        if width is not None:
            digits = self.text[self.at : self.at + width]
            if len(digits) < width or not all(c in "0123456789abcdefABCDEF" for c in digits):
                raise self.wrong("an escape without its digits")
            self.at += width
            return chr(int(digits, 16))
        if taken.isalnum():
            raise self.wrong("a reference to a group, or an unknown escape,")
        return taken

    def set(self) -> Fits:
        negated = self.peek() == "^"
        self.at += negated
        kinds: list[Fits] = []
        spans: list[tuple[str, str]] = []
        first = True
        while first or self.peek() != "]":
            first = False
            one = self.member(kinds)
            if one is None:
                continue
            last = one
            if self.peek() == "-" and self.peek(1) not in ("]", ""):
                self.at += 1
                end = self.member(kinds)
                if end is None or end < one:
                    raise self.wrong("a range that ends before it begins")
                last = end
            spans.append((one, last))
        self.at += 1

        def fits(character: str) -> bool:
            forms = {character, character.lower(), character.upper()}
            held = any(kind(character) for kind in kinds) or any(
                low <= form <= high for form in forms for low, high in spans
            )
            return held is not negated

        return fits

    def member(self, kinds: list[Fits]) -> str | None:
        taken = self.take()
        if taken != "\\":
            return taken
        escaped = self.take()
        if escaped in _CLASSES:
            kinds.append(_CLASSES[escaped])
            return None
        return "\b" if escaped == "b" else self.literal(escaped)


@attrs.frozen
class _Step:
    """A node of the automaton: takes a character, asks for a place, or only leads on."""

    fits: Fits | None
    at: str | None
    to: tuple[int, ...]


_END = 0


@attrs.define
class _Builder:
    steps: list[_Step] = attrs.field(factory=lambda: [_Step(None, None, ())])

    def add(self, step: _Step) -> int:
        if len(self.steps) >= MAX_NODES:
            raise BadPattern(f"the pattern is too large: it needs more than {MAX_NODES} places")
        self.steps.append(step)
        return len(self.steps) - 1

    def build(self, tree: _Tree, then: int) -> int:
        """The place at which `tree` begins, if `then` comes after it."""
        match tree:
            case _One(fits):
                return self.add(_Step(fits, None, (then,)))
            case _At(what):
                return self.add(_Step(None, what, (then,)))
            case _Row(parts):
                for part in reversed(parts):
                    then = self.build(part, then)
                return then
            case _Either(parts):
                return self.add(_Step(None, None, tuple(self.build(p, then) for p in parts)))
            case _Times(part, least, None):
                loop = self.add(_Step(None, None, ()))
                self.steps[loop] = _Step(None, None, (self.build(part, loop), then))
                then = loop
            case _Times(part, least, most):
                for _ in range((most or 0) - least):
                    then = self.add(_Step(None, None, (self.build(part, then), then)))
        for _ in range(tree.least):
            then = self.build(tree.part, then)
        return then


class _State:
    """The places at which a match may be, with what stood before them."""

    __slots__ = ("after", "behind", "places")

    def __init__(self, places: frozenset[int], behind: bool | None) -> None:
        self.places = places
        self.behind = behind
        """Whether the last character was of a word; None at the beginning."""
        self.after: dict[str, _State] = {}


_FOUND = _State(frozenset(), None)


class Pattern:
    """A compiled pattern. `search` may run in many threads at once: what they learn is the same."""

    __slots__ = ("_begin", "_first", "_room", "_states", "_steps", "text")

    def __init__(self, text: str) -> None:
        if len(text) > MAX_PATTERN:
            raise BadPattern(f"a pattern has at most {MAX_PATTERN} characters, not {len(text)}")
        builder = _Builder()
        self.text = text
        self._begin = builder.build(_Reader(text).whole(), _END)
        self._steps = builder.steps
        self._forget()

    def search(self, text: str) -> bool:
        """Whether some part of the text matches."""
        state = self._first
        for character in text:
            state = state.after.get(character) or self._learn(state, character)
            if state is _FOUND:
                return True
        return _END in self._reached(state.places, state.behind, None)

    def _forget(self) -> None:
        self._room = _ROOM
        self._first = _State(frozenset((self._begin,)), None)
        self._states = {(self._first.places, self._first.behind): self._first}

    def _learn(self, state: _State, character: str) -> _State:
        word = _is_word(character)
        reached = self._reached(state.places, state.behind, word)
        if _END in reached:
            to = _FOUND
        else:
            places = {self._begin}
            for place in reached:
                fits = self._steps[place].fits
                if fits is not None and fits(character):
                    places.update(self._steps[place].to)
            key = (frozenset(places), word)
            to = self._states.setdefault(key, _State(*key))
        self._room -= 1
        if self._room < 0:
            self._forget()
        else:
            state.after[character] = to
        return to

    def _reached(
        self, places: Iterable[int], behind: bool | None, ahead: bool | None
    ) -> frozenset[int]:
        """Every place that needs no character to get to, between what is behind and ahead."""
        edge = bool(behind) is not bool(ahead)
        holds = {
            "first": behind is None,
            "last": ahead is None,
            "edge": edge,
            "no_edge": not edge,
        }
        todo, seen = list(places), set(places)
        while todo:
            step = self._steps[todo.pop()]
            if step.fits is not None or (step.at is not None and not holds[step.at]):
                continue
            fresh = [place for place in step.to if place not in seen]
            seen.update(fresh)
            todo.extend(fresh)
        return frozenset(seen)

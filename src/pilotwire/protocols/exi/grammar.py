"""The grammar of a schema as linked states, made when they are first needed (W3C EXI 1.0, 8.5.4).

A state has as many bits for its event code as tell its productions and one more apart: the grammar is not strict, and
the one more leads to what a schema does not foresee, which V2G forbids. Productions stand in the order of the standard:
attributes by name, elements as the schema orders them, members of a substitution group by name, the wildcard, the end,
and characters between elements.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import Any, Final, NamedTuple

from .bits import Reader, Writer
from .errors import DecodeError, EncodeError, UnknownSchema
from .values import bits_for, pair_for

SCHEMAS: Final = (
    "sap", "din", "iso2", "iso20-common", "iso20-ac", "iso20-dc", "iso20-wpt", "iso20-acdp", "xmldsig",
)  # fmt: skip
TABLES: Final = f"{__file__.rpartition('/')[0]}/tables"
"""A plain path: what looks for resources in other ways takes longer to import than all of this."""
TEXT: Final = "value"
"""The field that holds the text of an element which has attributes too."""


class Particle:
    """A term of a content model, and how often it may come; -1: any number."""

    __slots__ = ("children", "high", "index", "kind", "local", "low", "uri")

    def __init__(self, made: list[Any]) -> None:
        self.kind: str = made[0]
        *inner, self.low, self.high = made[1:]
        self.local = self.uri = ""
        self.index = -1
        self.children: list[Particle] = []
        if self.kind == "element":
            self.local, self.uri, self.index = inner
        elif self.kind != "any":
            self.children = [Particle(child) for child in inner[0]]


class Stack(NamedTuple):
    """What is still to come: a particle, how often it came already, and what follows it."""

    particle: Particle
    times: int
    rest: Stack | None


class Production:
    """One thing that may come in a state."""

    __slots__ = ("_after", "_link", "code", "many", "name", "read", "write")

    def __init__(
        self,
        code: int,
        name: str | None,
        many: bool,
        read: Callable[[Reader], Any],
        write: Callable[[Writer, Any], None],
        link: Callable[[], State] | None,
    ) -> None:
        self.code = code
        self.name = name
        """The field; None: the end of the element. "*" is a wildcard or text between elements, which no field is."""
        self.many = many
        self.read = read
        self.write = write
        self._link = link
        self._after: State | None = None

    @property
    def after(self) -> State:
        """The state that follows."""
        if self._after is None:
            assert self._link is not None
            self._after = self._link()
        return self._after


class State:
    """What may come, and the width of its event codes."""

    __slots__ = ("bits", "mask", "productions")

    def __init__(self, productions: list[Production]) -> None:
        self.productions = productions
        self.bits = bits_for(len(productions) + 1)
        self.mask = (1 << self.bits) - 1


class Field(NamedTuple):
    """A field of a message: attribute, element or text."""

    type: int
    many: bool


def _no_read(reader: Reader) -> Any:
    raise DecodeError("what stands here belongs to no V2G message, and is not read")


def _no_write(writer: Writer, value: Any) -> None:
    raise EncodeError("this cannot be written")


class Grammar:
    """All states of a schema."""

    def __init__(self, table: dict[str, Any]) -> None:
        self.sources: dict[str, str] = table["sources"]
        self.types: list[dict[str, Any]] = table["types"]
        self._pairs: dict[int, tuple[Callable[[Reader], Any], Callable[[Writer, Any], None]]] = {}
        self._fields: dict[int, dict[str, Field]] = {}
        self._particles: dict[int, Particle] = {}
        self.document: list[tuple[str, int]] = [(local, index) for local, _, index in table["document"]]
        self.fragment: list[tuple[str, int]] = [(local, self._signed(types)) for local, _, types in table["fragment"]]
        self.namespaces: dict[str, str] = {local: uri for local, uri, _ in table["document"]}
        self.fragment_namespaces: dict[str, str] = {local: uri for local, uri, _ in table["fragment"]}

    def _signed(self, types: list[int]) -> int:
        """Of elements of one name, the one that can be signed is meant: it has an Id."""
        return next((index for index in types if "attributes" in self.types[index]), types[0])

    # -- reading and writing ------------------------------------------------------------------------------------------
    def pair(self, local: str, index: int) -> tuple[Callable[[Reader], Any], Callable[[Writer, Any], None]]:
        """Reader and writer of an element of a type."""
        kind = self.types[index]
        if kind["kind"] != "complex":
            return pair_for(local, kind, element=True)
        if index not in self._pairs:
            self._pairs[index] = self._complex(index)
        return self._pairs[index]

    def _bare(self, name: str, index: int) -> tuple[Callable[[Reader], Any], Callable[[Writer, Any], None]]:
        """Reader and writer of what is no element: an attribute, or text beside attributes."""
        return pair_for(name, self.types[index], element=False)

    def _complex(self, index: int) -> tuple[Callable[[Reader], Any], Callable[[Writer, Any], None]]:
        from .codec import reader_of, writer_of

        first: list[State] = []

        def start() -> State:
            if not first:
                first.append(self._start(index))
            return first[0]

        return reader_of(start), writer_of(start)

    # -- fields -------------------------------------------------------------------------------------------------------
    def fields(self, index: int) -> dict[str, Field]:
        """The fields of a complex type in the order of the schema."""
        if index not in self._fields:
            kind = self.types[index]
            found = {name: Field(type_, False) for name, _, type_, _ in kind.get("attributes", ())}
            if "text" in kind:
                found[TEXT] = Field(kind["text"], False)
            if "content" in kind:
                self._gather(self.content(index), False, found)
            self._fields[index] = found
        return self._fields[index]

    def _gather(self, particle: Particle, many: bool, found: dict[str, Field]) -> None:
        many = many or particle.high < 0 or particle.high > 1
        if particle.kind == "element":
            found[particle.local] = Field(particle.index, many or particle.local in found)
        for child in particle.children:
            self._gather(child, many, found)

    def content(self, index: int) -> Particle:
        """The content model of a complex type that has one."""
        if index not in self._particles:
            self._particles[index] = Particle(self.types[index]["content"])
        return self._particles[index]

    # -- states -------------------------------------------------------------------------------------------------------
    def _start(self, index: int) -> State:
        return self._attributes(index, 0, {})

    def _attributes(self, index: int, begin: int, made: dict[Stack | None, State]) -> State:
        """The state before the attribute number `begin`: one of those that may come, or what follows them."""
        productions: list[Production] = []
        attributes: list[tuple[str, str, int, bool]] = self.types[index].get("attributes", [])
        for place in range(begin, len(attributes)):
            name, _, type_, required = attributes[place]
            read, write = self._bare(name, type_)
            link = self._linked(self._attributes, index, place + 1, made)
            productions.append(Production(len(productions), name, False, read, write, link))
            if required:
                return State(productions)
        return self._after_attributes(index, productions, made)

    def _after_attributes(self, index: int, productions: list[Production], made: dict[Stack | None, State]) -> State:
        kind = self.types[index]
        if "text" in kind:
            read, write = self._bare(str(kind.get("name", "")), int(kind["text"]))
            end = self._linked(self._state, index, None, made)
            return State([*productions, Production(len(productions), TEXT, False, read, write, end)])
        stack = Stack(self.content(index), 0, None) if "content" in kind else None
        return self._state(index, stack, made, productions)

    def _state(
        self,
        index: int,
        stack: Stack | None,
        made: dict[Stack | None, State],
        before: list[Production] | None = None,
    ) -> State:
        if before is None and stack in made:
            return made[stack]
        productions = list(before or ())
        following: list[tuple[Particle, Stack | None]] = []
        ends = _expand(stack, following, set())
        taken: set[tuple[str, str]] = set()
        fields = self.fields(index)
        for particle, after in sorted(following, key=lambda one: one[0].kind == "any"):
            link = self._linked(self._state, index, after, made)
            code = len(productions)
            if particle.kind == "any":
                if ("", "*") not in taken:
                    productions.append(Production(code, "*", True, _no_read, _no_write, link))
                taken.add(("", "*"))
            elif (particle.uri, particle.local) not in taken:
                taken.add((particle.uri, particle.local))
                read, write = self.pair(particle.local, particle.index)
                many = fields[particle.local].many
                productions.append(Production(code, particle.local, many, read, write, link))
        if ends:
            productions.append(Production(len(productions), None, False, _no_read, _no_write, None))
        if self.types[index].get("mixed"):
            productions.append(Production(len(productions), "*", True, _no_read, _no_write, None))
        state = State(productions)
        if before is None:
            made[stack] = state
        return state

    def _linked(self, make: Callable[..., State], *arguments: Any) -> Callable[[], State]:
        return lambda: make(*arguments)


def _expand(stack: Stack | None, found: list[tuple[Particle, Stack | None]], seen: set[Stack]) -> bool:
    """What may come next, each with what follows it; whether the end may come."""
    if stack is None:
        return True
    if stack in seen:
        return False
    seen.add(stack)
    particle, times, rest = stack
    ends = False
    if particle.high < 0 or times < particle.high:
        if times + 1 == particle.high:
            after = rest
        else:
            after = Stack(particle, times + 1 if particle.high > 0 or times < particle.low else times, rest)
        if particle.kind in ("element", "any"):
            found.append((particle, after))
        elif particle.kind == "choice":
            for child in particle.children:
                ends = _expand(Stack(child, 0, after), found, seen) or ends
        else:
            inner = after
            for child in reversed(particle.children):
                inner = Stack(child, 0, inner)
            ends = _expand(inner, found, seen)
    if times >= particle.low:
        ends = _expand(rest, found, seen) or ends
    return ends


@cache
def grammar_of(schema: str) -> Grammar:
    """The grammar of a schema by its name. Raises UnknownSchema."""
    if schema not in SCHEMAS:
        raise UnknownSchema(f"there is no schema {schema!r}, but {', '.join(SCHEMAS)}")
    with open(f"{TABLES}/{schema}.json", encoding="ascii") as file:
        return Grammar(json.load(file))

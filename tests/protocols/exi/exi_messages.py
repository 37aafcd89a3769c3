"""Messages of every type of a schema, made up from the grammar, and their XML."""

from __future__ import annotations

import base64
import random
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from pilotwire.protocols.exi.grammar import TEXT, Grammar, Particle

ALPHABET = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:/"


class NotMade(Exception):
    """It holds nothing but what stands outside of all schemas."""


class Maker:
    """Makes messages. `fullness`: how often what may be left out is there, and lists are as long as they may be."""

    def __init__(self, grammar: Grammar, seed: int, fullness: float = 0.5, longest: int = 3) -> None:
        self._grammar = grammar
        self._random = random.Random(seed)
        self._fullness = fullness
        self._longest = longest
        self._room = 1100

    def element(self, index: int) -> Any:
        """A value of a type."""
        kind = self._grammar.types[index]
        if kind["kind"] != "complex":
            return self._simple(kind)
        found: dict[str, Any] = {}
        for name, _, type_, required in kind.get("attributes", ()):
            if required or self._want():
                found[name] = self._simple(self._grammar.types[type_])
        if "text" in kind:
            found[TEXT] = self._simple(self._grammar.types[kind["text"]])
        if "content" in kind:
            self._particle(self._grammar.content(index), found, self._grammar.fields(index))
        return found

    def _want(self) -> bool:
        return self._random.random() < self._fullness

    def _times(self, particle: Particle) -> int:
        if particle.high == 1:
            return particle.low or int(self._want())
        high = particle.high if particle.high > 0 else particle.low + self._longest
        if (
            self._fullness == 1 and high <= self._room
        ):  # the longest list that is allowed, but not such lists of such lists
            self._room -= high
            return high
        return self._random.randint(particle.low, max(particle.low, min(high, self._longest)))

    def _particle(self, particle: Particle, found: dict[str, Any], fields: dict[str, Any]) -> None:
        if particle.kind == "any":
            if particle.low:
                raise NotMade
            return
        for _ in range(self._times(particle)):
            if particle.kind == "element":
                value = self.element(particle.index)
                if fields[particle.local].many:
                    found.setdefault(particle.local, []).append(value)
                else:
                    found[particle.local] = value
            elif particle.kind == "choice":
                self._particle(
                    self._random.choice([one for one in particle.children if one.kind != "any"] or [_ANY]),
                    found,
                    fields,
                )
            else:
                for child in particle.children:
                    self._particle(child, found, fields)

    def _simple(self, kind: dict[str, Any]) -> Any:
        match kind["kind"]:
            case "boolean":
                return self._random.random() < 0.5
            case "enumeration":
                return self._random.choice(kind["values"])
            case "integer":
                low = kind["min"] if kind["min"] is not None else -(2**80)
                high = kind["max"] if kind["max"] is not None else 2**80
                return self._random.choice((low, high, self._random.randint(low, high), max(low, min(high, 300))))
            case "string":
                return "".join(self._random.choice(ALPHABET) for _ in range(self._length(kind)))
            case _:
                return self._random.randbytes(self._length(kind))

    def _length(self, kind: dict[str, Any]) -> int:
        low, high = kind.get("minLength", 0), kind.get("maxLength", 40)
        return self._random.randint(max(low, min(1, high)), min(high, 900))


_ANY = Particle(["any", 1, 1])


def xml(grammar: Grammar, local: str, uri: str, index: int, value: Any) -> str:
    """A message as XML."""
    return _element(grammar, local, uri, index, value)


def _element(grammar: Grammar, local: str, uri: str, index: int, value: Any) -> str:
    kind = grammar.types[index]
    if kind["kind"] != "complex":
        return f'<{local} xmlns="{uri}">{_text(kind, value)}</{local}>'
    head = f'<{local} xmlns="{uri}"'
    for name, namespace, type_, _ in kind.get("attributes", ()):
        if name in value:
            written = quoteattr(_text(grammar.types[type_], value[name]))
            head += f' xmlns:a="{namespace}" a:{name}={written}' if namespace else f" {name}={written}"
    inner = ""
    if "text" in kind:
        inner = _text(grammar.types[kind["text"]], value[TEXT])
    elif "content" in kind:
        left = {name: list(one) if isinstance(one, list) else [one] for name, one in value.items()}
        inner = _content(grammar, grammar.content(index), left)
    return f"{head}>{inner}</{local}>"


def _content(grammar: Grammar, particle: Particle, left: dict[str, list[Any]]) -> str:
    """Takes from `left` what the particle holds, as often as there is something."""
    made = ""
    times = 0
    while particle.high < 0 or times < particle.high:
        if particle.kind == "element":
            if not left.get(particle.local):
                break
            one = _element(grammar, particle.local, particle.uri, particle.index, left[particle.local].pop(0))
        elif particle.kind == "choice":
            one = next((text for child in particle.children if (text := _content(grammar, child, left))), "")
        else:
            one = "".join(_content(grammar, child, left) for child in particle.children)
        if not one:
            break
        made += one
        times += 1
    return made


def _text(kind: dict[str, Any], value: Any) -> str:
    match kind["kind"]:
        case "boolean":
            return "true" if value else "false"
        case "hex":
            return str(value.hex().upper())
        case "base64":
            return base64.b64encode(value).decode()
        case _:
            return escape(str(value))

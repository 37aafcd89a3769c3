"""Plays the frames of the catalogue of quirks against a central system in simulated time."""

from __future__ import annotations

import json
import re
from typing import Any

from csms_kit import Client, World

from pilotwire.core.time import to_datetime
from pilotwire.domain.facts import QuirkSeen

_WORD = re.compile(r"\$(now(?:[+-]\d+)?|bare|spaced|minute60|tx|id|kept|n\b)")


class Silent(dict[str, Any]):
    """A station that answers no CALL by itself: the frames that are played do."""

    def get(self, key: str, default: Any = None) -> Any:
        return super().get(key, lambda payload: None)


class Player:
    """One station and its conversation."""

    def __init__(self, version: str = "1.6", *, bare: bool = False, **world: Any) -> None:
        self.world = World(**world)
        self.world.token()
        self.client: Client = self.world.station(version=version)
        self.client.on = Silent()
        self.replies: list[Any] = []
        self.number = 0
        self.kept = ""
        if not bare:
            self.client.boot()
            self.client.status()

    def play(self, lines: tuple[str, ...]) -> Player:
        times = 1
        for line in lines:
            if line.startswith("times "):
                times = int(line.split()[1])
                continue
            for self.number in range(times):
                self._line(line)
            times = 1
        self.world.run(1_000)
        return self

    def _line(self, line: str) -> None:
        world, client = self.world, self.client
        word, _, rest = line.partition(" ")
        if line.startswith("["):
            client.raw(self._filled(line).encode())
            world.run(200)
        elif line.startswith("&["):
            client.raw(self._filled(line[1:]).encode())  # the next one follows at once
        elif word == "raw":
            client.raw(self._filled(rest).encode())
            world.run(200)
        elif word == "long":
            client.raw(rest.encode() + b"x" * 70_000 + b"\n")
            world.run(200)
        elif word == "keep":
            self.kept = self._filled("$now")
        elif word == "account":
            world.account(boot=rest)
        elif word == "wait":
            world.run(int(rest) * 1_000)
        elif word == "ask":
            action, _, payload = rest.partition(" ")
            self.replies = world.command(action, json.loads(self._filled(payload or "{}")))
            world.run(200)
        elif word == "drop":
            assert client.link is not None
            client.link.close(1001, "dropped")
            world.run(200)
        elif word == "dial":
            client.dial()
        elif word == "second":
            other = Client(world, client.name, client.version)
            other.dial()
            world.run(200)
        else:
            raise AssertionError(f"no such step: {line}")

    def _filled(self, text: str) -> str:
        def one(match: re.Match[str]) -> str:
            name = match[1]
            if name == "kept":
                return self.kept
            if name == "n":
                return str(self.number)
            if name == "tx":
                return str(next(f[2]["transactionId"] for f in reversed(self.client.frames) if "transactionId" in f[2]))
            if name == "id":
                return str(self.client.calls[-1][1])
            offset = int(name[3:] or 0) if name.startswith("now") else 0
            at = to_datetime(self.world.clock.now() + offset * 1_000)
            return {
                "bare": at.strftime("%Y-%m-%dT%H:%M:%S"),
                "spaced": at.strftime("%Y-%m-%d %H:%M:%SZ"),
                "minute60": at.strftime("%Y-%m-%dT%H:%M:60"),
            }.get(name, at.strftime("%Y-%m-%dT%H:%M:%S.000Z"))

        return _WORD.sub(one, text)

    @property
    def seen(self) -> list[str]:
        """The quirks that were told, in order."""
        return [fact.quirk for fact in self.world.facts(QuirkSeen)]

"""Asking for what the kit cannot do itself: an operator's command at a CSMS, a hand at a station."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
from collections.abc import Callable, Mapping
from typing import Any, Protocol
from urllib.parse import quote

import httpx

from pilotwire.core.errors import LocalError

CANNOT = 3
"""Exit status with which a command says that the system under test cannot be asked for this."""


class Cannot(LocalError):
    """This way of driving cannot do it: the case is not run."""


class Failed(LocalError):
    """It was asked for, and refused."""


class Driver(Protocol):
    """How the kit asks."""

    async def ask(self, action: str, payload: Mapping[str, Any], station: str) -> None:
        """Have the CSMS send `action` to `station`. May wait for the station's answer. Raises Cannot or Failed."""
        ...

    async def press(self, what: str, arguments: Mapping[str, Any]) -> None:
        """At the station: plug, unplug, tap, power-cycle, fault, repair; at the CSMS: accept (a pending station).
        Raises Cannot or Failed."""
        ...


class Nobody:
    """There is nobody to ask."""

    async def ask(self, action: str, payload: Mapping[str, Any], station: str) -> None:
        raise Cannot(f"nobody can have the CSMS send {action}: choose a way with --drive")

    async def press(self, what: str, arguments: Mapping[str, Any]) -> None:
        raise Cannot(f"nobody is at the station to {what}: choose a way with --drive")


class Person(Nobody):
    """Somebody who reads the terminal."""

    def __init__(self, show: Callable[[str], None]) -> None:
        self._show = show

    async def ask(self, action: str, payload: Mapping[str, Any], station: str) -> None:
        self._show(f"  >> Please have the CSMS send {action} to {station}: {json.dumps(payload, default=str)}")

    async def press(self, what: str, arguments: Mapping[str, Any]) -> None:
        self._show(f"  >> At the station, please: {what} {json.dumps(arguments, default=str)}")


class Command:
    """A command of the user's, run by the shell once for each request, told by its environment what is wanted.

    PILOTWIRE_ACTION, PILOTWIRE_PAYLOAD (JSON) and PILOTWIRE_STATION; at a station the action is plug, unplug, tap, …
    Exit status 0: asked for; 3: cannot be asked for; anything else: refused.
    """

    def __init__(self, line: str) -> None:
        self._line = line

    async def ask(self, action: str, payload: Mapping[str, Any], station: str) -> None:
        await self._run(action, payload, station)

    async def press(self, what: str, arguments: Mapping[str, Any]) -> None:
        await self._run(what, arguments, "")

    async def _run(self, action: str, payload: Mapping[str, Any], station: str) -> None:
        told = {
            "PILOTWIRE_ACTION": action,
            "PILOTWIRE_PAYLOAD": json.dumps(payload, default=str),
            "PILOTWIRE_STATION": station,
        }
        process = await asyncio.create_subprocess_shell(
            self._line,
            env={**os.environ, **told},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        if process.returncode == CANNOT:
            raise Cannot(f"{shlex.split(self._line)[0]} cannot do {action}")
        if process.returncode:
            said = output.decode(errors="replace").strip()[-300:]
            raise Failed(f"{action}: the command ended with {process.returncode}: {said}")


class Pilotwire(Nobody):
    """Our own REST API: the action is a command to the station."""

    def __init__(self, url: str, key: str = "", *, timeout_s: float = 30.0) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._timeout_s = timeout_s
        self._http = httpx.AsyncClient(base_url=url.rstrip("/"), headers=headers, timeout=timeout_s + 10)

    async def ask(self, action: str, payload: Mapping[str, Any], station: str) -> None:
        body = {
            "action": action,
            "payload": payload,
            "reason": "conformance check",
            "timeout_s": self._timeout_s,
        }
        path = f"/api/v1/stations/{quote(station, safe='')}/commands"
        try:
            answer = await self._http.post(path, content=json.dumps(body, default=float), headers=_JSON)
        except httpx.TransportError as error:
            raise Cannot(f"the API does not answer: {error}") from error
        if answer.is_error:
            try:
                detail = answer.json().get("detail", "")
            except ValueError:
                detail = answer.text[:200]
            raise Failed(f"the API refused {action} with {answer.status_code}: {detail}")

    async def press(self, what: str, arguments: Mapping[str, Any]) -> None:
        if what != "accept":
            await super().press(what, arguments)
        path = f"/api/v1/stations/{quote(str(arguments['station']), safe='')}"
        try:
            answer = await self._http.patch(path, content=b'{"boot": "Accepted"}', headers=_JSON)
        except httpx.TransportError as error:
            raise Cannot(f"the API does not answer: {error}") from error
        if answer.is_error:
            raise Failed(f"the API refused to accept the station with {answer.status_code}: {answer.text[:200]}")

    async def close(self) -> None:
        await self._http.aclose()


_JSON = {"Content-Type": "application/json"}

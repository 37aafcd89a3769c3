"""The kit itself, tried on programs that are not ours: it finds the faults that PyPI `ocpp` is known to have, in words
that name them, and finds nothing where there is nothing. What that library does was measured with raw frames before."""

from __future__ import annotations

import asyncio

import pytest
from tests.check import pypi_peers

from pilotwire.check import drive, library, places
from pilotwire.check.player import Outcome
from pilotwire.check.run import run
from pilotwire.check.settings import Settings

VERSIONS = ("1.6", "2.0.1", "2.1")
NO_ANSWER = "no answer to the frame"

KNOWN: dict[str, tuple[str, ...]] = {
    # number of the case → what the kit has to say about it
    "01": ("refused with NotSupported; wanted NotImplemented",),
    "02": ("refused with NotImplemented; wanted NotSupported",),
    "03": (NO_ANSWER,),
    "04": (NO_ANSWER,),
    "05": (NO_ANSWER,),
    "10": (NO_ANSWER, "an answer to a CALL that nobody sent"),
    "11": (NO_ANSWER, 'a CALLRESULT is [3, "id", {…}]'),
}
"""An unknown action and one without a handler bear each other's code; silence on what is no message; a messageId of 37
characters and one that is a number are served."""
KNOWN_16 = {"06": ("refused with FormatViolation; wanted Formation", "OCPP 1.6 has no error code FormatViolation")}
"""1.6 spells the code otherwise."""
KNOWN_21 = {
    "01": (NO_ANSWER,),
    "02": (NO_ANSWER,),
    "21": ("was taken in silence; wanted a CALLRESULTERROR",),
}
"""In 2.1 the library refuses an action with nothing at all, and does not know the message types 5 and 6."""
KNOWN_CSMS = {
    "09": ("refused with TypeConstraintViolation; wanted PropertyConstraintViolation",),
    "12": ("refused with HTTP 400",),
}
"""A text that is too long is of the right type; without a common subprotocol the handshake has to be finished first."""


FINE = {
    ("csms", "1.6"): ("PW16_B_01_CSMS", "PW16_B_02_CSMS", "PW16_C_01_CSMS"),
    ("csms", "2.0.1"): ("TC_B_01_CSMS", "TC_C_01_CSMS"),
    ("csms", "2.1"): ("PW21_B_01_CSMS", "PW21_C_01_CSMS"),
}
"""Cases of which nothing may be said: such a program can do that much."""


def known(side: str, version: str) -> dict[str, tuple[str, ...]]:
    found = KNOWN | (KNOWN_16 if version == "1.6" else KNOWN_21 if version == "2.1" else {})
    end = "CSMS" if side == "csms" else "CS"
    return {
        f"PW_RPC_{number}_{end}": words for number, words in (found | (KNOWN_CSMS if end == "CSMS" else {})).items()
    }


async def against_csms(version: str) -> list[Outcome]:
    operator = pypi_peers.Operator(version)
    async with pypi_peers.serving(version, operator) as url:
        settings = Settings({"url": url, "subprotocol": f"ocpp{version}", "patience": 0.3})
        scripts = library.scripts("csms", version)
        # Beside the frames: what such a program can do has to be found in order.
        chosen = [*library.chosen(scripts, (), ("rpc",)), *library.chosen(scripts, FINE["csms", version])]
        return await run(chosen, settings, operator, places.Dialled(url, version, settings, {}), timeout_s=5)


async def against_station(version: str) -> list[Outcome]:
    settings = Settings({"patience": 0.3})
    async with (
        places.listening("127.0.0.1", 0, version, settings) as (place, port),
        pypi_peers.connected_station(version, f"ws://127.0.0.1:{port}"),
    ):
        chosen = library.chosen(library.scripts("station", version), (), ("rpc",))
        return await run(chosen, settings, drive.Nobody(), place, timeout_s=5)


@pytest.fixture(scope="module")
def outcomes() -> dict[tuple[str, str], dict[str, Outcome]]:
    """Everything at once: what takes time is waiting for answers that do not come."""

    async def play() -> list[list[Outcome]]:
        return await asyncio.gather(*map(against_csms, VERSIONS), *map(against_station, VERSIONS))

    places_ = [(side, version) for side in ("csms", "station") for version in VERSIONS]
    return {place: {each.id: each for each in found} for place, found in zip(places_, asyncio.run(play()), strict=True)}


@pytest.mark.parametrize(
    ("side", "version", "case"),
    [(side, version, case) for side in ("csms", "station") for version in VERSIONS for case in known(side, version)],
)
def test_finds_the_known_fault(
    outcomes: dict[tuple[str, str], dict[str, Outcome]], side: str, version: str, case: str
) -> None:
    outcome = outcomes[side, version][case]
    assert outcome.status == "failed"
    told = " | ".join([outcome.reason, *outcome.faults])
    for words in known(side, version)[case]:
        assert words in told


@pytest.mark.parametrize(("side", "version"), [(side, each) for side in ("csms", "station") for each in VERSIONS])
def test_finds_nothing_where_nothing_is_wrong(
    outcomes: dict[tuple[str, str], dict[str, Outcome]], side: str, version: str
) -> None:
    found = outcomes[side, version]
    wrong = {name: each.reason for name, each in found.items() if each.status == "failed"}
    assert set(wrong) == set(known(side, version)), wrong
    assert {name for name, each in found.items() if each.status == "not run"} <= {"PW_RPC_19_CSMS"}  # wants a setting

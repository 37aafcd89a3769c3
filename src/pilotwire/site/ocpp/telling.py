"""Why a station does not come in, and why an upstream is not reached: told once, and again when it is another reason.

Of what is nobody's by name (TLS that fails, identities that nobody knows) a line is told for each address and reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pilotwire.core.ids import StationKey
from pilotwire.transport.port import DialResult, Handshake, Refuse, TurnedAway

from .config import KnownStation, Upstream

_MOST = 200
"""Addresses of which something is told; more are not, so that nobody fills a log by knocking."""


class Telling:
    """Hears of each attempt; `report` gets the lines."""

    def __init__(self, report: Callable[[str], None] = lambda text: None) -> None:
        self._report = report
        self._stations: dict[StationKey, str] = {}
        self._strangers: set[tuple[str, str]] = set()
        self._upstreams: dict[tuple[str, str], str] = {}

    # ── stations ─────────────────────────────────────────────────────────────────────────────────────────────────

    def refused(self, known: KnownStation | None, handshake: Handshake, refusal: Refuse) -> None:
        """Sent away by its name or its credentials. No secret of the attempt is told."""
        if known is None:
            self._strange(handshake.peer, refusal.reason, f"{handshake.identity!r} is not below ocpp.stations")
            return
        why = _why(known, handshake, refusal)
        if self._stations.get(known.key) != why:
            self._stations[known.key] = why
            self._report(f"station {known.identity} from {handshake.peer} is refused: {why}")

    def admitted(self, key: StationKey, peer: str) -> None:
        """It has come in."""
        if self._stations.pop(key, None) is not None:
            self._report(f"station {key.station} from {peer} is let in now")

    def turned_away(self, attempt: TurnedAway) -> None:
        """It did not come as far as its name, or not with a request that can be understood."""
        detail = attempt.detail
        if detail.endswith("Error"):
            detail = "it hangs up meanwhile"
        words = [attempt.reason.replace("-", " "), detail.lower().replace("_", " ")]
        self._strange(attempt.peer, attempt.reason + detail, ": ".join(each for each in words if each))

    def _strange(self, peer: str, reason: str, text: str) -> None:
        key = (peer.rpartition(":")[0], reason)
        if key not in self._strangers and len(self._strangers) < _MOST:
            self._strangers.add(key)
            self._report(f"somebody at {key[0]} who would be a station is turned away: {text}")

    # ── upstreams ────────────────────────────────────────────────────────────────────────────────────────────────

    def dialed(self, upstream: Upstream, known: KnownStation, result: DialResult) -> None:
        """What an attempt in a station's name has come to. What is the same for many stations is told once."""
        key = (upstream.name, known.identity)
        if result.opened:
            if self._upstreams.pop(key, None) is not None and not self._others(upstream):
                self._report(f"upstream {upstream.name} is reached again")
            return
        why = f"it answers HTTP {result.status}" if result.status else result.reason
        news = all(each != why for each in self._others(upstream).values())
        self._upstreams[key] = why
        if news:
            self._report(
                f"upstream {upstream.name} is not reached for {known.identity}: {why}; it is tried again, what it "
                "has to hear is kept"
            )

    def _others(self, upstream: Upstream) -> Mapping[str, str]:
        return {identity: why for (name, identity), why in self._upstreams.items() if name == upstream.name}


def _why(known: KnownStation, handshake: Handshake, refusal: Refuse) -> str:
    profile = known.security_profile
    if refusal.reason == "wrong-security-profile":
        if handshake.tls and profile == 3:
            return "it shows no client certificate, which security profile 3 asks for"
        return f"it comes {'by wss://' if handshake.tls else 'by ws://'}, its security profile is {profile}"
    if refusal.reason == "wrong-certificate":
        return f"its certificate is not of CN {known.identity} and O {known.organization or '(none)'}"
    if refusal.reason == "wrong-credential":
        return "its password is wrong" if handshake.password is not None else "it comes without a password"
    return refusal.reason.replace("-", " ")

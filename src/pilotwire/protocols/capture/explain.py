"""Why a session ended, in one sentence, with the message and the rule.

explain(read_timeline(data)).sentence
"""

from __future__ import annotations

import msgspec

from pilotwire.protocols.iso15118.quirks import matching

from .rules_chademo import explain_chademo
from .rules_gbt import explain_gbt
from .rules_v2g import explain_v2g
from .talk import Explanation, Talk
from .timeline import Timeline

__all__ = ["Explanation", "explain"]


def explain(timeline: Timeline) -> Explanation:
    """The reason, whatever was captured."""
    carriers = {entry.carrier for entry in timeline.entries}
    found: Explanation | None = None
    if carriers & {"v2g", "sdp", "slac", "tcp"}:
        found = explain_v2g(Talk(timeline))
    if found is None and "chademo" in carriers:
        found = explain_chademo(timeline)
    if found is None and "gbt27930" in carriers:
        found = explain_gbt(timeline)
    if found is None:
        return Explanation(
            kind="nothing", sentence="There is no conversation of a car and a charger in this capture.", index=None,
            rule="", side=None,
        )  # fmt: skip
    return msgspec.structs.replace(found, quirks=tuple(quirk.told() for quirk in matching(*_marks(timeline))))


def _marks(timeline: Timeline) -> tuple[str, str, tuple[str, ...]]:
    """EVCCID or MAC, SLAC run id, and the namespaces offered."""
    mac, run_id = "", ""
    offered: tuple[str, ...] = ()
    for entry in timeline.entries:
        if entry.name == "SessionSetupReq":
            evccid = entry.body.get("EVCCID", b"")
            mac = evccid.hex().upper() if isinstance(evccid, bytes) else mac
        elif entry.name == "SlacParmReq":
            run_id = bytes(entry.body.get("run_id", b"")).rstrip(b"\0").decode("latin-1")
            mac = mac or entry.source.replace(":", "")
        elif entry.name == "supportedAppProtocolReq":
            offered = tuple(str(each["ProtocolNamespace"]) for each in entry.body["AppProtocol"])
    return mac, run_id, offered

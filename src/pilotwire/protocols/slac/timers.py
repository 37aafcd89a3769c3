"""The times and counts of ISO 15118-3, table A.1."""

from __future__ import annotations

from typing import Final, Literal

from pilotwire.core.timers import TimerRule


def _rule(
    name: str, ms: int, side: Literal["ev", "evse"], then: str, clause: str = "table A.1", least: bool = False
) -> TimerRule:
    return TimerRule(name=name, protocol="ISO 15118-3", side=side, ms=ms, clause=clause, then=then, least=least)


C_EV_START_ATTEN_CHAR_INDS: Final = 3
C_EV_MATCH_MNBC: Final = 10
C_EV_MATCH_RETRY: Final = 2
C_EVSE_MATCH_PARALLEL: Final = 5
C_SEQU_RETRY: Final = 2
C_EV_VALD_NB_TOGGLES: Final = 3
C_EV_MATCH_SIGNALATTN_DIRECT: Final = 10
"""dB: up to here the EVSE is found."""
C_EV_MATCH_SIGNALATTN_INDIRECT: Final = 20
"""dB: up to here it may be the one; it is validated."""

SLAC_INIT: Final = _rule(
    "TT_EVSE_SLAC_init", 50_000, "evse", "no vehicle began to match: E or F for T_step_EF, twice, then it is given up"
)
EVSE_SEQUENCE: Final = _rule("TT_match_sequence", 400, "evse", "the vehicle did not go on; its run has failed")
MNBC: Final = _rule("TT_EVSE_match_MNBC", 600, "evse", "the sounds that came are averaged and told")
EVSE_RESPONSE: Final = _rule(
    "TT_match_response", 200, "evse", "CM_ATTEN_CHAR.IND is said again, twice; then the run failed"
)
MATCH_SESSION: Final = _rule(
    "TT_EVSE_match_session", 10_000, "evse", "neither CM_VALIDATE nor CM_SLAC_MATCH: the run failed"
)
EVSE_JOIN: Final = _rule("TT_match_join", 12_000, "evse", "no link came up: a new key, and matching begins anew")
EVSE_REPETITION: Final = _rule(
    "TT_matching_repetition", 10_000, "evse", "no run led to a match: E or F, or it is given up"
)
EVSE_STEP: Final = _rule(
    "T_step_EF before matching", 4_000, "evse", "after E or F the next vehicle's request is waited for anew", least=True
)
EVSE_AMP_MAP: Final = _rule("TT_amp_map_exchange", 200, "evse", "CM_AMP_MAP is said again, twice; then it is left")
EV_RESPONSE: Final = _rule("TT_match_response", 200, "ev", "the request is said again, twice; then matching has failed")
EV_COLLECT: Final = _rule("TP_match_sequence", 100, "ev", "no more EVSEs are waited for: sounding begins")
EV_BATCH: Final = _rule("TP_EV_batch_msg_interval", 40, "ev", "the next start or sound is sent (20 to 50 ms)")
EV_RESULTS: Final = _rule("TT_EV_atten_results", 1_200, "ev", "those EVSEs are weighed that have told their results")
EV_VALIDATE: Final = _rule("TT_EVSE_vald_toggle", 3_500, "ev", "no result of the toggles: this EVSE is not the one")
EV_JOIN: Final = _rule("TT_match_join", 12_000, "ev", "no link came up: matching has failed")
EV_RATE: Final = _rule("TT_matching_rate", 400, "ev", "matching begins anew", least=True)
EV_REPETITION: Final = _rule("TT_matching_repetition", 10_000, "ev", "matching is given up")
STATE_DURATION: Final = 300
"""TP_EV_vald_state_duration, ms (200 to 400): how long each B and each C of a toggle stays."""
POLL: Final = 250
"""ms between two questions for the state of the link (ours)."""
SET_KEY: Final = 500
"""ms for a modem to take a key (ours)."""

TIMERS: Final = (
    SLAC_INIT, EVSE_SEQUENCE, MNBC, EVSE_RESPONSE, MATCH_SESSION, EVSE_JOIN, EVSE_REPETITION, EVSE_STEP, EVSE_AMP_MAP,
    EV_RESPONSE, EV_COLLECT, EV_BATCH, EV_RESULTS, EV_VALIDATE, EV_JOIN, EV_RATE, EV_REPETITION,
)  # fmt: skip

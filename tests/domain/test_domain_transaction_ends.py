"""How the end of a 2.x transaction is kept, whatever its stop point left out or said."""

from __future__ import annotations

from typing import Any

import pytest

from pilotwire.domain.inputs import TransactionEvent

T = 1_767_225_600_000


def event(kind: str, seq: int, trigger: str, **more: Any) -> TransactionEvent:
    return TransactionEvent(
        kind=kind, transaction="TX", seq_no=seq, time=T + seq * 60_000, samples=(), trigger=trigger, **more
    )


@pytest.mark.parametrize("version", ["2.0.1", "2.1"])
@pytest.mark.parametrize(
    ("said", "kept"),
    [(None, "Local"), ("Local", "Local"), ("EVDisconnected", "EVDisconnected"), ("Timeout", "Timeout")],
)
def test_an_end_without_a_reason_is_the_drivers(make_desk, version, said, kept):
    """E06.FR.09: stoppedReason may be left out where the driver has ended it at the station."""
    desk = make_desk(version)
    desk.send(event("Started", 0, "Authorized", evse=1, connector=1, token="TAG", token_type="ISO14443"), at=T)
    desk.send(event("Ended", 1, "StopAuthorized", stopped_reason=said or ""), at=T + 60_000)
    assert (desk.session.status, desk.session.stop_reason) == ("ended", kept)


@pytest.mark.parametrize("version", ["2.0.1", "2.1"])
def test_a_transaction_that_nobody_was_let_in_for_begins_and_ends(make_desk, version):
    """TxStartPoint ParkingBayOccupancy or EVConnected: there is never a token, and yet a record."""
    desk = make_desk(version)
    desk.send(event("Started", 0, "EVDetected", evse=1, charging_state="Idle"), at=T)
    desk.send(event("Updated", 1, "CablePluggedIn", evse=1, connector=1, charging_state="EVConnected"), at=T + 60_000)
    assert (desk.session.status, desk.session.token, desk.session.connector) == ("active", "", 1)
    desk.send(event("Ended", 2, "EVDeparted", stopped_reason="EVDisconnected"), at=T + 120_000)
    assert (desk.session.status, desk.session.token, desk.session.energy_wh) == ("ended", "", 0)
    assert desk.session.flags == []

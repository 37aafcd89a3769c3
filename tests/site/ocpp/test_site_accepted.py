"""A station that wants to be accepted is told nothing yet: it would refuse it, and count as one that does not hear."""

from __future__ import annotations

from pilotwire.site.ocpp.observing import Observer

BOOT = b'{"chargePointVendor":"V","chargePointModel":"M"}'
STATUS = b'{"connectorId":1,"errorCode":"NoError","status":"Available"}'


def test_between_its_boot_and_the_next_word_it_is_not_there() -> None:
    observer = Observer(lambda: "1.6", lambda: 0)
    observer.connected(True)
    assert observer.online, "one that goes on after a loss of the network is told at once"
    observer.said("BootNotification", BOOT)
    assert (observer.online, observer.boots) == (False, 1)
    observer.said("BootNotification", BOOT)
    assert not observer.online, "it was told to wait, and asks again"
    observer.said("StatusNotification", STATUS)
    assert observer.online
    observer.connected(False)
    assert not observer.online
    observer.said("Heartbeat", b"{}")
    assert not observer.online, "what was said before the line broke brings nobody back"

"""The fold of block K: which charging profiles a station has, as far as it has said so (`Station.charging`)."""

from __future__ import annotations

from msgspec import structs

from .facts import (
    ChargingLimitChanged,
    ChargingNeedsNotified,
    ChargingProfilesCleared,
    ChargingProfileSet,
    ChargingProfilesReported,
    ChargingRatesUpdated,
    PriorityChargingChanged,
)
from .kept import PERSISTS
from .records import Charging, Station
from .schedules.model import EXTERNAL, LOCAL_GENERATION, PRIORITY, STATION_MAX, TX, TX_DEFAULT
from .schedules.store import ProfileStore


def awaited(start_id: int) -> str:
    """The name of a transaction that a remote start is to begin."""
    return f"remote start {start_id}"


def store_of(station: Station) -> ProfileStore:
    """A copy of what is installed at a station, as far as it is known."""
    return ProfileStore(() if station.charging is None else station.charging.profiles)


def _charging(station: Station) -> Charging:
    if station.charging is None:
        station.charging = Charging()
    return station.charging


def _keep(station: Station, store: ProfileStore) -> None:
    charging = _charging(station)
    charging.profiles = list(store)
    there = {each.id for each in charging.profiles}
    charging.lost = [each for each in charging.lost if each.id not in there]
    if not (charging.profiles or charging.priority or charging.elsewhere or charging.planning or charging.lost):
        station.charging = None


def on_profile_set(station: Station, fact: ChargingProfileSet) -> None:
    store = store_of(station)
    store.install(fact.profile, fact.version)
    _keep(station, store)


def on_profiles_cleared(station: Station, fact: ChargingProfilesCleared) -> None:
    store = store_of(station)
    store.remove(lambda profile: profile.id in fact.ids)
    if station.charging is not None:
        station.charging.lost = [each for each in station.charging.lost if each.id not in fact.ids]
    _keep(station, store)


def on_rates_updated(station: Station, fact: ChargingRatesUpdated) -> None:
    store = store_of(station)
    store.update(fact.profile_id, fact.rates, fact.event_time)
    _keep(station, store)


def on_profiles_reported(station: Station, fact: ChargingProfilesReported) -> None:
    """The station's own account stands: whoever set them."""
    store = store_of(station)
    for profile in fact.profiles:
        known = store.get(profile.id)
        if known is not None:
            profile = structs.replace(profile, installed=known.installed)
        store.put(profile)
    _keep(station, store)


def on_limit_changed(station: Station, fact: ChargingLimitChanged) -> None:
    charging = _charging(station)
    name = f"{fact.source} {fact.evse}" + (" generation" if fact.local_generation else "")
    # What ClearedChargingLimit means is all that this source has set for the EVSE.
    purposes = (
        (EXTERNAL, LOCAL_GENERATION) if fact.cleared else (LOCAL_GENERATION if fact.local_generation else EXTERNAL,)
    )
    store = store_of(station)
    store.remove(
        lambda profile: profile.purpose in purposes and profile.source == fact.source and profile.evse == fact.evse
    )
    charging.elsewhere = [
        each
        for each in charging.elsewhere
        if each != name and not (fact.cleared and each == f"{fact.source} {fact.evse} generation")
    ]
    if not fact.cleared:
        charging.elsewhere.append(name)
    _keep(station, store)


def on_priority_changed(station: Station, fact: PriorityChargingChanged) -> None:
    charging = _charging(station)
    charging.priority = [each for each in charging.priority if each != fact.transaction]
    if fact.activated:
        charging.priority.append(fact.transaction)
    _keep(station, store_of(station))


def on_needs_notified(station: Station, fact: ChargingNeedsNotified) -> None:
    charging = _charging(station)
    if fact.transaction and fact.transaction not in charging.planning:
        charging.planning.append(fact.transaction)
    _keep(station, store_of(station))


def on_session_started(station: Station, transaction: str, evse: int, start_id: int | None) -> bool:
    """A profile that came with the remote start is the transaction's from now on; whether there was any."""
    if station.charging is None:
        return False
    names = {awaited(start_id)} if start_id is not None else {awaited(-evse)}
    found = False
    for at, profile in enumerate(station.charging.profiles):
        if profile.transaction in names:
            station.charging.profiles[at] = structs.replace(profile, transaction=transaction, evse=evse)
            found = True
    return found


def on_session_ended(station: Station, transaction: str) -> bool:
    """Its profiles go with it (K02.FR.05); whether there were any."""
    charging = station.charging
    if charging is None:
        return False
    store = store_of(station)
    gone = store.end(transaction)
    lost = [each for each in charging.lost if each.transaction != transaction]
    gone, charging.lost = bool(gone) or len(lost) < len(charging.lost), lost
    if not gone and transaction not in charging.priority and transaction not in charging.planning:
        return False
    charging.priority = [each for each in charging.priority if each != transaction]
    charging.planning = [each for each in charging.planning if each != transaction]
    _keep(station, store)
    return True


def on_booted(station: Station) -> None:
    """A restart leaves what must outlive one (K01.FR.27; 1.6 keeps all, errata 3.37)."""
    if station.charging is None:
        return
    kept = [STATION_MAX, TX_DEFAULT, PRIORITY]
    if station.kept is not None and station.kept.limits.get(PERSISTS):
        kept.append(TX)
    store = store_of(station)
    if station.ocpp_version != "1.6":
        gone = [each for each in station.charging.profiles if each.purpose == TX and TX not in kept]
        store.remove(lambda profile: profile.purpose not in kept)
        if station.ocpp_version == "2.1":
            # A second restart loses nothing more of what was lost with the first.
            station.charging.lost = gone + [each for each in station.charging.lost if each not in gone]
    station.charging.priority = []
    station.charging.elsewhere = []
    station.charging.planning = []
    _keep(station, store)

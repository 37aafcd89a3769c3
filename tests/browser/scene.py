"""A month at the site for the pictures of the guides: what workers make of sessions, faults, lost connections."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from msgspec.structs import replace
from tests.api import happenings_kit
from tests.browser import desk_kit as kit

from pilotwire.api import types
from pilotwire.api.access import system
from pilotwire.api.happenings.deliver import Deliverer
from pilotwire.api.happenings.mail import Mailer
from pilotwire.api.happenings.reporting import Reporting
from pilotwire.api.happenings.worker import Happenings
from pilotwire.api.resources import alarms, certificates, jobs, notifications, webhooks
from pilotwire.api.workers import Workers, workers
from pilotwire.core.time import to_datetime
from pilotwire.crypto import pem
from pilotwire.crypto.certificates import make_authority
from pilotwire.crypto.hash_data import hash_data
from pilotwire.domain import facts, records, trust
from pilotwire.storage.documents import put, sort_time
from pilotwire.storage.port import Entry

DAY = 86_400_000


def past_weeks(site: Any, days: int, names: tuple[str, ...]) -> None:
    """A session a day at each of these stations."""
    rng = random.Random(3)
    for day in range(days, 0, -1):
        for name in names:
            number = f"{name}-{day}"
            begin = site.clock.now() - day * DAY + rng.randint(0, 12 * 3_600_000)
            end, energy = begin + rng.randint(20, 200) * kit.MINUTE, rng.randint(3_000, 40_000)
            session = records.Session(
                tenant="default", id=number, station_id=name, transaction=number, ocpp_version="2.0.1", evse=1,
                connector=1, token=kit.TOKEN, status="ended", started_at=begin, ended_at=end, received_at=begin,
                updated_at=end, meter_start_wh=0, meter_stop_wh=energy, energy_wh=energy, stop_reason="EVDisconnected",
            )  # fmt: skip
            started = facts.SessionStarted(
                event_time=begin, session_id=number, transaction=number, start_key=number, ocpp_version="2.0.1",
                evse=1, connector=1, token=kit.TOKEN,
            )  # fmt: skip
            ended = facts.SessionEnded(event_time=end, session_id=number, meter_stop_wh=energy)
            entry = Entry(
                tenant="default", station=name, recv_time=end, epoch=1, direction="in", facts=(started, ended),
                touched=(session,),
            )  # fmt: skip
            site.store.append(entry)


def _status(site: Any, status: str, error: str = "NoError") -> facts.ConnectorStatusChanged:
    return facts.ConnectorStatusChanged(
        event_time=site.clock.now(), evse=1, connector=1, status=status, error_code=error
    )


@asynccontextmanager
async def a_month(site: Any) -> AsyncIterator[None]:
    """With the workers of the API, but for those that send to others. Time stands still within the block."""
    past_weeks(site, 30, ("AC-01", "AC-05", "DC-01", "DC-02"))
    for name, station in site.stations.items():
        if station.connected:
            station.connected_at = site.clock.now()
            site.commit(name, facts.StationConnected(event_time=site.clock.now(), ocpp_version=station.ocpp_version))
    made = Workers(site.context, [one for one in workers() if one not in (Deliverer, Mailer)])
    await made.start()
    try:
        await _happen(site)
        yield
    finally:
        await made.stop()


async def _happen(site: Any) -> None:
    desk, context = system("default"), site.context
    happenings: Happenings = context.parts[Happenings]
    reporting: Reporting = context.parts[Reporting]

    async def later(minutes: int) -> None:
        for _ in range(minutes):
            site.clock.run_for(kit.MINUTE)
            for name, one in site.sessions.items():
                if one.power_w:
                    site.power(name, one.power_w, one.energy_wh + one.power_w // 60, one.soc)
                    moved = facts.SessionUpdated(
                        event_time=site.clock.now(), session_id=name, register_wh=one.energy_wh, power_w=one.power_w
                    )
                    site.commit(one.station_id, moved)
            for station in site.stations.values():
                station.last_seen = site.clock.now() - 4_000 if station.connected else station.last_seen
            await happenings.settle()
        await reporting.settle()

    hook = types.NewWebhook(name="Service desk", url="https://desk.example.com/pilotwire", events=["alarm-raised"])
    await webhooks.create(context, desk, hook)
    server = types.NewMailServer(host="mail.example.com", sender="chargers@example.com", security="none")
    await notifications.set_mail_server(context, desk, server)
    shift = types.NewSubscription(name="Night shift", channel="email", to=["night@example.com"], min_severity="major")
    await notifications.create(context, desk, shift)
    await later(1)
    site.commit("AC-08", _status(site, "Faulted", "GroundFailure"))
    tampered = facts.SecurityEventNotified(event_time=site.clock.now(), kind="TamperDetectionActivated")
    site.commit("AC-01", tampered)
    site.stations["DC-03"].connected = False
    site.commit("DC-03", facts.StationDisconnected(event_time=site.clock.now(), code=1006))
    site.commit("DC-04", _status(site, "Faulted", "HighTemperature"))
    await later(20)
    site.commit("DC-04", _status(site, "Available"))
    await later(15)
    found = (await alarms.alarms(context, desk)).items
    fault = next(one for one in found if one.station_id == "AC-08")
    await alarms.acknowledge(context, desk, fault.id, "The electrician comes at ten")
    await alarms.mute(context, desk, types.NewAlarmMute(target="station", value="DC-03", note="Is being moved"))
    job = types.NewJob(
        kind="command", title="Ask all for their status", filter=types.StationFilter(),
        payload={"action": "trigger", "payload": {"message": "status"}},
    )  # fmt: skip
    done = await jobs.create(context, desk, job)

    async def ended() -> bool:
        return (await jobs.job(context, desk, done.value.id)).value.status == "done"

    await happenings_kit.until(ended, "the job is done")
    await later(1)
    await certificates_of(site)
    _configuration(site)
    _conversation(site)


async def certificates_of(site: Any) -> None:
    """An authority of our own, stations that come in by its certificates, and one that does not renew its own."""
    desk, context, now = system("default"), site.context, site.clock.now()
    change = types.CertificateAuthorityChange(source="built-in", organization="Example Charging")
    await certificates.change_authority(context, replace(desk, role="platform-admin"), change)
    root = make_authority("Example V2G Root", now=to_datetime(now)).certificate_pem
    trusted = types.NewTrustAnchor(name="Example V2G Root", use="v2g", certificate=root, reason="Plug & Charge")
    await certificates.add_anchor(context, desk, trusted)
    found = hash_data(pem.one(root), None, "SHA256")
    row = trust.InstalledCertificate(
        use="V2GRootCertificate", hash_algorithm="SHA256", issuer_name_hash=found.issuer_name_hash,
        issuer_key_hash=found.issuer_key_hash, serial_number=found.serial_number,
    )  # fmt: skip
    changes = [put(trust.INSTALLED, "DC-01", trust.InstalledCertificates(asked_at=now, rows=(row,)))]
    for number, (name, days) in enumerate((("DC-02", 5), ("AC-05", 22), ("DC-01", 64), ("AC-01", 341)), 1):
        begin, end = now - (365 - days) * DAY, now + days * DAY
        shown = trust.ShownCertificate(
            station=name, common_name=name, organization="Example Charging", issuer="CN=Stations,O=Example Charging",
            serial=f"4FA21C09D{number}", not_before=begin, not_after=end, seen_at=begin,
        )  # fmt: skip
        asked = trust.Enrollment(
            id=f"e-{number}", station=name, use="ChargingStationCertificate", csr="-", asked_at=begin,
            changed_at=begin, status="delivered", authority="built-in", serial=shown.serial, not_before=begin,
            not_after=end,
        )  # fmt: skip
        changes.append(put(trust.SHOWN, name, shown, sort=sort_time(end)))
        changes.append(put(trust.ENROLLMENTS, asked.id, asked, sort=sort_time(begin)))
    await site.store.write_documents("default", changes)


def _configuration(site: Any) -> None:
    """What DC-01 has reported of its device model."""
    reported = [
        ("OCPPCommCtrlr", "HeartbeatInterval", "300", "ReadWrite", "integer", "s"),
        ("OCPPCommCtrlr", "MessageTimeout", "30", "ReadOnly", "integer", "s"),
        ("OCPPCommCtrlr", "WebSocketPingInterval", "60", "ReadWrite", "integer", "s"),
        ("SampledDataCtrlr", "TxUpdatedInterval", "30", "ReadWrite", "integer", "s"),
        ("SampledDataCtrlr", "TxUpdatedMeasurands", "Energy.Active.Import.Register,SoC", "ReadWrite", "MemberList", ""),
        ("AuthCtrlr", "Enabled", "true", "ReadWrite", "boolean", ""),
        ("AuthCtrlr", "OfflineTxForUnknownIdEnabled", "false", "ReadWrite", "boolean", ""),
        ("TxCtrlr", "EVConnectionTimeOut", "60", "ReadWrite", "integer", "s"),
        ("TxCtrlr", "StopTxOnEVSideDisconnect", "true", "ReadOnly", "boolean", ""),
        ("SecurityCtrlr", "SecurityProfile", "1", "ReadOnly", "integer", ""),
        ("SecurityCtrlr", "OrganizationName", "Nordlicht", "ReadWrite", "string", ""),
        ("ClockCtrlr", "DateTime", "2026-01-01T14:17:00Z", "ReadOnly", "dateTime", ""),
    ]
    variables = tuple(
        records.Variable(
            tenant="default", station_id="DC-01", component=component, variable=variable, value=value,
            mutability=mutability, data_type=kind, unit=unit, reported_at=site.clock.now(),
        )
        for component, variable, value, mutability, kind, unit in reported
    )  # fmt: skip
    site.store.append(
        Entry(
            tenant="default", station="DC-01", recv_time=site.clock.now(), epoch=1, direction="sys", touched=variables
        )
    )


def _conversation(site: Any) -> None:
    """Frames between DC-01 and us."""
    boot = '{"reason":"PowerUp","chargingStation":{"model":"Rapid 150","vendorName":"Nordlicht"}}'
    status = '{"timestamp":"2026-01-01T14:15:00Z","connectorStatus":"Occupied","evseId":1,"connectorId":1}'
    event = (
        '{"eventType":"Updated","timestamp":"2026-01-01T14:16:30Z","triggerReason":"MeterValuePeriodic","seqNo":31,'
        '"transactionInfo":{"transactionId":"dc-01-1","chargingState":"Charging"},"evse":{"id":1,"connectorId":1}}'
    )
    asked = '{"component":{"name":"AuthCtrlr"},"variable":{"name":"Enabled"}}'
    frames = [
        ("in", f'[2,"b1","BootNotification",{boot}]'),
        ("in", f'[2,"b2","StatusNotification",{status}]'),
        ("out", f'[2,"p1","GetVariables",{{"getVariableData":[{asked}]}}]'),
        ("in", '[4,"p1","NotSupported","not in this firmware",{}]'),
        ("in", f'[2,"b3","TransactionEvent",{event}]'),
        ("in", '[2,"b4","Heartbeat",{}]'),
    ]  # fmt: skip
    for number, (direction, frame) in enumerate(frames):
        at = site.clock.now() - (len(frames) - number) * 11_000
        site.store.append(
            Entry(tenant="default", station="DC-01", recv_time=at, epoch=1, direction=direction, frame=frame.encode())
        )

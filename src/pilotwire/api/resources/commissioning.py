"""The commissioning of sites, as far as somebody may do it: every step needs `sites:commission` and is audited.

The composition root fills the registry with a port for each site that can be commissioned here:

    Commissionings.of(context).add("north", wizard)             # a `pilotwire.domain.commissioning.Commissioning`

All functions raise Problem 404 for a site that has none or is out of scope, 409 `not-now` with what to do first, and
503 `controller-away` where the site cannot be reached.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from pilotwire.core.ids import DEFAULT_TENANT
from pilotwire.core.time import to_rfc3339

from .. import audit, types
from ..access import Principal
from ..context import ApiContext
from ..edit import check, tag_of
from ..problems import not_found, problem
from ..scope import sees_site

if TYPE_CHECKING:
    from pilotwire.domain import commissioning as port

T = TypeVar("T")
PERMISSION = "sites:commission"


class Commissionings:
    """Which sites can be commissioned: by tenant and id. In `ApiContext.parts` under its own class."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], port.Commissioning] = {}

    @staticmethod
    def of(context: ApiContext) -> Commissionings:
        """The registry of a context; an empty one is made where there is none."""
        found: Commissionings = context.parts.setdefault(Commissionings, Commissionings())
        return found

    def add(self, site_id: str, commissioning: port.Commissioning, *, tenant: str = DEFAULT_TENANT) -> None:
        """From now on the site with this id can be commissioned; who was there before is replaced."""
        self._known[tenant, site_id] = commissioning

    def remove(self, site_id: str, *, tenant: str = DEFAULT_TENANT) -> None:
        """Nothing happens where there is none."""
        self._known.pop((tenant, site_id), None)

    def get(self, site_id: str, *, tenant: str = DEFAULT_TENANT) -> port.Commissioning | None:
        """None where there is none."""
        return self._known.get((tenant, site_id))


def of_site(context: ApiContext, principal: Principal, site_id: str) -> port.Commissioning:
    """The port of a site. Raises Problem 403, 404."""
    principal.need(PERMISSION)
    found = Commissionings.of(context).get(site_id, tenant=principal.tenant) if sees_site(principal, site_id) else None
    if found is None:
        raise not_found("site that can be commissioned", site_id)
    return found


async def _asked(asked: Awaitable[T]) -> T:
    from pilotwire.domain.commissioning import Refused

    try:
        return await asked
    except Refused as error:
        text = str(error)
        raise problem("not-now", f"{text[:1].upper()}{text[1:]}.".replace("..", ".")) from None
    except ConnectionError as error:
        raise problem("controller-away", f"{error}.", headers={"Retry-After": "5"}) from None


async def state(context: ApiContext, principal: Principal, site_id: str) -> types.Commissioning:
    """How far it is."""
    return shown(site_id, await _asked(of_site(context, principal, site_id).state()))


def tag(found: types.Commissioning) -> str:
    """The version of the draft; what else is shown is no reason to refuse a change of it."""
    return tag_of(found.draft.text, shown=found)


async def scan(
    context: ApiContext, principal: Principal, site_id: str, data: types.CommissioningScan
) -> types.Commissioning:
    """Begin to look for devices."""
    from pilotwire.domain.commissioning import ScanAsk

    ask = ScanAsk(
        hosts=tuple(data.hosts), ports=tuple(data.ports), serial=tuple(data.serial), units=tuple(data.units),
        public=data.public, timeout_ms=data.timeout_ms, stations_s=data.stations_s,
    )  # fmt: skip
    return await _step(context, principal, site_id, "scan", of_site(context, principal, site_id).scan(ask), data)


async def edit(
    context: ApiContext,
    principal: Principal,
    site_id: str,
    data: types.CommissioningEdit,
    *,
    if_match: str | None = None,
) -> types.Commissioning:
    """Change the draft. Raises Problem 412 where it is not the one of `if_match` any more."""
    from pilotwire.domain.commissioning import Edit

    check(if_match, tag(await state(context, principal, site_id)))
    change = Edit(
        site=data.site, failsafe=data.failsafe, nodes=tuple(data.nodes), devices=tuple(data.devices),
        evses=tuple(data.evses), remove=tuple(data.remove), take=data.take, text=data.text,
    )  # fmt: skip
    detail = {name: value for name, value in msgspec.to_builtins(data).items() if value and name != "text"}
    if data.text is not None:
        detail["text"] = f"{len(data.text)} characters"  # it may hold passwords
    return await _step(context, principal, site_id, "edit", of_site(context, principal, site_id).edit(change), detail)


async def phases(
    context: ApiContext, principal: Principal, site_id: str, data: types.CommissioningPhases
) -> types.Commissioning:
    """Begin to find the phases of EVSEs by pulses."""
    from pilotwire.domain.commissioning import PhasesAsk

    ask = PhasesAsk(evses=tuple(data.evses), verify=data.verify, settle_s=data.settle_s, pulses=data.pulses)
    return await _step(context, principal, site_id, "phases", of_site(context, principal, site_id).phases(ask), data)


async def accept(
    context: ApiContext, principal: Principal, site_id: str, data: types.CommissioningAccept
) -> types.Commissioning:
    """Write rotations that were found into the draft."""
    work = of_site(context, principal, site_id).accept(tuple(data.evses))
    return await _step(context, principal, site_id, "accept", work, data)


async def failsafe(
    context: ApiContext, principal: Principal, site_id: str, data: types.CommissioningFailsafe
) -> types.Commissioning:
    """Begin to set and read back fail-safes."""
    work = of_site(context, principal, site_id).failsafe(data.prove)
    return await _step(context, principal, site_id, "failsafe", work, data)


async def dry_run(
    context: ApiContext, principal: Principal, site_id: str, data: types.CommissioningDryRun
) -> types.Commissioning:
    """Begin a dry run."""
    work = of_site(context, principal, site_id).dry_run(data.seconds)
    return await _step(context, principal, site_id, "dry-run", work, data)


async def cancel(context: ApiContext, principal: Principal, site_id: str) -> types.Commissioning:
    """End what is under way."""
    return await _step(context, principal, site_id, "cancel", of_site(context, principal, site_id).cancel(), {})


async def write(
    context: ApiContext, principal: Principal, site_id: str, data: types.CommissioningGoLive
) -> types.CommissionedFile:
    """Write the file, and go live where that is wanted."""
    path = await _asked(of_site(context, principal, site_id).write(data.live))
    await _record(context, principal, site_id, "live" if data.live else "write", {"path": path})
    return types.CommissionedFile(path=path, live=data.live)


async def _step(
    context: ApiContext, principal: Principal, site_id: str, name: str, work: Awaitable[None], detail: Any
) -> types.Commissioning:
    """What was begun is on record, and how it stands then."""
    await _asked(work)
    await _record(context, principal, site_id, name, msgspec.to_builtins(detail))
    return await state(context, principal, site_id)


async def _record(context: ApiContext, principal: Principal, site_id: str, name: str, detail: dict[str, Any]) -> None:
    await audit.record(context, principal, f"commissioning.{name}", f"site {site_id}", detail=detail)


# -- as the API shows it ----------------------------------------------------------------------------------------------
def shown(site_id: str, found: port.State) -> types.Commissioning:
    """All of it."""
    job, draft = found.job, found.draft
    return types.Commissioning(
        site_id=site_id,
        stage=found.stage,
        done=list(found.done),
        live=found.live,
        draft=types.CommissioningDraft(
            site=draft.site, name=draft.name, time_zone=draft.time_zone, sound=draft.sound, text=draft.text,
            nodes=[
                types.CommissionedNode(
                    id=one.id, kind=one.kind, parent=one.parent, fuse_a=one.fuse, meter=one.meter,
                    side_lost_a=one.side, depth=one.depth,
                )
                for one in draft.nodes
            ],
            devices=[
                types.CommissionedDevice(
                    id=one.id, kind=one.kind, file=one.file, endpoint=one.endpoint, unit=one.unit
                )
                for one in draft.devices
            ],
            evses=[
                types.CommissionedEvse(
                    id=one.id, node=one.node, reached=one.reached, phases=one.phases, rotation=one.rotation,
                    maximum=one.maximum, in_service=one.in_service,
                )
                for one in draft.evses
            ],
            findings=[
                types.CommissioningFinding(where=one.where, text=one.text, severity=one.severity)
                for one in draft.findings
            ],
        ),
        found=[_unit(one, found.mapped.get(one.id, "")) for one in found.found],
        verdicts=[_verdict(one) for one in found.verdicts],
        failsafes=[_failsafe(one) for one in found.failsafes],
        overloads=list(found.overloads),
        dry_run=None if found.dry_run is None else _report(found.dry_run),
        job=None if job is None else types.CommissioningJob(
            kind=job.kind, status=job.status, begun_at=to_rfc3339(job.begun_ms), ended_at=_time(job.ended_ms),
            done=job.done, total=job.total, words=job.words, todo=job.todo,
        ),
        networks=list(found.networks),
        file=found.file,
        written_at=_time(found.written_ms),
    )  # fmt: skip


def _time(ms: int | None) -> str | None:
    return None if ms is None else to_rfc3339(ms)


def _unit(one: port.Found, entered_as: str) -> types.FoundUnit:
    return types.FoundUnit(
        id=one.id, endpoint=one.endpoint, unit=one.unit, who=one.who, serial=one.serial, identity=one.identity,
        state=one.state, found_at=to_rfc3339(one.at_ms), entered_as=entered_as,
        files=[
            types.FoundDeviceFile(
                id=file.id, vendor=file.vendor, model=file.model, kind=file.kind, by=file.by, outlets=file.outlets
            )
            for file in one.files
        ],
    )  # fmt: skip


def _verdict(one: port.Verdict) -> types.PhaseVerdict:
    return types.PhaseVerdict(
        evse=one.evse, outcome=one.outcome, phases=list(one.phases), rotation=one.rotation,
        confidence_percent=one.confidence / 10, agrees=one.agrees, node=one.node, elsewhere=one.elsewhere,
        words=one.words, todo=one.todo, at=to_rfc3339(one.at_ms),
    )  # fmt: skip


def _failsafe(one: port.FailsafeResult) -> types.FailsafeResult:
    return types.FailsafeResult(
        evse=one.evse, unit="mA" if one.unit == "mA" else "W", value=_in_unit(one.value, one.unit),
        watchdog_s=None if one.watchdog_ms is None else one.watchdog_ms // 1_000, outcome=one.outcome,
        proof=one.proof, words=one.words, todo=one.todo, at=to_rfc3339(one.at_ms),
    )  # fmt: skip


def _in_unit(value: int, unit: str) -> int:
    """mW become W."""
    return value if unit == "mA" else value // 1_000


def _report(one: port.DryReport) -> types.DryRunReport:
    def amount(value: int | None, unit: str) -> int | None:
        return None if value is None else _in_unit(value, unit)

    return types.DryRunReport(
        begun_at=to_rfc3339(one.begun_ms), until=to_rfc3339(one.until_ms), seconds=one.seconds, ticks=one.ticks,
        failures=one.failures, commands=one.commands, marks=dict(one.marks),
        highest_ma={node: list(flows) for node, flows in one.flows.items()},
        violations=[
            types.DryRunViolation(
                node=each.node, what=each.what, source=each.source, unit="W" if each.what == "power" else "mA",
                limit=_in_unit(each.limit, "mW" if each.what == "power" else "mA"),
                highest=_in_unit(each.highest, "mW" if each.what == "power" else "mA"), seconds=each.seconds,
                first_at=to_rfc3339(each.first_ms), last_at=to_rfc3339(each.last_ms),
            )
            for each in one.violations
        ],
        evses=[
            types.DryRunEvse(
                evse=each.evse, unit="mA" if each.unit == "mA" else "W", now=_in_unit(each.now, each.unit),
                commands=each.commands, lowest=amount(each.lowest, each.unit),
                highest=amount(each.highest, each.unit), car_s=each.car_s, drew_more_s=each.drew_more_s,
                words=each.words,
            )
            for each in one.evses
        ],
    )  # fmt: skip

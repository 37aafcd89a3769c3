"""Sites that run a controller, as far as somebody may see them.

The composition root fills the registry; everybody else asks these functions, which give the types of the API:

    Controllers.of(context).add("north", controller)            # a `pilotwire.domain.seen.Controller`; `remove` again
    await controllers(context, principal) -> list[types.SiteController]
    await now(context, principal, site_id) -> types.SiteNow
    async for each in ticks(context, principal, site_id)        # types.SiteNow, at most one a second
    await past(context, principal, site_id, at_ms) -> types.SitePast
    await changes(context, principal, site_id, evse, from_ms, until_ms) -> list[types.SetPointChange]
    await course(context, principal, site_id, from_ms, until_ms, step_s) -> types.SiteCourse
    await windows(context, principal, site_id, from_ms, until_ms) -> list[types.ClosedWindow]
    await peaks(context, principal, site_id, from_ms, until_ms) -> list[types.MonthPeak]
    await plan(context, principal, site_id) -> types.SiteOutlook | None

All need `sites:read`. They raise Problem 404 for a site that has no controller here or that is out of scope, 404
`nothing-known` with the controller's own words where it knows nothing of what is asked, and 503 `controller-away` where
the site cannot be reached.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import msgspec

from pilotwire.core.ids import DEFAULT_TENANT
from pilotwire.core.time import to_rfc3339

from .. import types
from ..access import Principal
from ..context import ApiContext
from ..language import _
from ..live import COMMENT, HEARTBEAT_S, message
from ..problems import Problem, not_found, problem
from ..scope import sees_site

if TYPE_CHECKING:
    from pilotwire.domain import seen
    from pilotwire.domain.steering.outputs import WindowView
    from pilotwire.domain.steering.state import WindowSummary

T = TypeVar("T")
SILENT_MS = 10_000
"""A controller that has decided nothing for this long is not at work."""
PATIENCE_S = 3
"""How long a list waits for one that is far away."""
WATCHERS = 100
"""Streams of all sites together."""


class Controllers:
    """Which sites have a controller: by tenant and id of the site. In `ApiContext.parts` under its own class."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], seen.Controller] = {}
        self._shown: dict[tuple[str, str], tuple[seen.Now, types.SiteNow, dict[bool, bytes]]] = {}
        """The last state of each that was laid out, for all who look at it."""
        self.watching = 0

    @staticmethod
    def of(context: ApiContext) -> Controllers:
        """The registry of a context; an empty one is made where there is none."""
        found: Controllers = context.parts.setdefault(Controllers, Controllers())
        return found

    def add(self, site_id: str, controller: seen.Controller, *, tenant: str = DEFAULT_TENANT) -> None:
        """From now on the site with this id is shown by `controller`; one that was there before is replaced."""
        self._known[tenant, site_id] = controller
        self._shown.pop((tenant, site_id), None)

    def remove(self, site_id: str, *, tenant: str = DEFAULT_TENANT) -> None:
        """Nothing happens where there is none."""
        self._known.pop((tenant, site_id), None)
        self._shown.pop((tenant, site_id), None)

    def get(self, site_id: str, *, tenant: str = DEFAULT_TENANT) -> seen.Controller | None:
        """None where there is none."""
        return self._known.get((tenant, site_id))

    def every(self, tenant: str = DEFAULT_TENANT) -> list[tuple[str, seen.Controller]]:
        """All of a tenant, by id of the site."""
        return sorted((site, one) for (owner, site), one in self._known.items() if owner == tenant)

    def laid_out(
        self, tenant: str, site_id: str, controller: seen.Controller, found: seen.Now
    ) -> tuple[types.SiteNow, dict[bool, bytes]]:
        """The same for all who look at the same state; with its events for streams, brief and whole, once made."""
        last = self._shown.get((tenant, site_id))
        if last is None or last[0] is not found:
            last = (found, _now(site_id, controller, found), {})
            self._shown[tenant, site_id] = last
        return last[1], last[2]


def _controller(context: ApiContext, principal: Principal, site_id: str) -> seen.Controller:
    principal.need("sites:read")
    found = Controllers.of(context).get(site_id, tenant=principal.tenant) if sees_site(principal, site_id) else None
    if found is None:
        raise not_found("site with a controller", site_id)
    return found


async def _asked(asked: Awaitable[T]) -> T:
    """What a controller says, or why it cannot, as the API tells it."""
    from pilotwire.domain.seen import NotKnown

    try:
        return await asked
    except NotKnown as error:
        raise problem("nothing-known", f"{error.args[0] if error.args else error}.".replace("..", ".")) from None
    except ConnectionError as error:
        raise problem("controller-away", f"{error}.", headers={"Retry-After": "5"}) from None


async def controllers(context: ApiContext, principal: Principal) -> list[types.SiteController]:
    """Those in scope, by name. One that cannot be reached is in the list, too."""
    principal.need("sites:read")
    known = Controllers.of(context).every(principal.tenant)
    made = [_short(context, site, one) for site, one in known if sees_site(principal, site)]
    return sorted(await asyncio.gather(*made), key=lambda one: (one.name.casefold(), one.site_id))


async def _short(context: ApiContext, site_id: str, controller: seen.Controller) -> types.SiteController:
    picture: seen.SitePicture | None = None
    away = False
    try:
        async with asyncio.timeout(PATIENCE_S):
            picture = (await controller.now()).picture
    except LookupError:
        picture = None
    except (ConnectionError, TimeoutError):
        away = True
    heard = controller.heard_ms
    if away:
        state = "away"
    elif heard is None or picture is None:
        state = "starting"
    else:
        state = "silent" if context.scheduler.now() - heard > SILENT_MS else "running"
    return types.SiteController(
        site_id=site_id,
        name=controller.name,
        time_zone=controller.time_zone,
        state=state,
        heard_at=None if heard is None else to_rfc3339(heard),
        flows=None if picture is None else _flows(picture.flows),
        evses=None if picture is None else len(picture.evses),
        charging=None if picture is None else sum(one.charging for one in picture.evses),
        marks=None if picture is None else len(picture.marks),
    )


async def now(context: ApiContext, principal: Principal, site_id: str) -> types.SiteNow:
    """The site at its last decision."""
    controller = _controller(context, principal, site_id)
    found = await _asked(controller.now())
    return Controllers.of(context).laid_out(principal.tenant, site_id, controller, found)[0]


async def ticks(context: ApiContext, principal: Principal, site_id: str) -> AsyncIterator[types.SiteNow]:
    """Each new state, at most one a second; a slow reader misses some. Ends when the site can no more be reached."""
    controller = _controller(context, principal, site_id)
    try:
        async for found in controller.ticks():
            yield Controllers.of(context).laid_out(principal.tenant, site_id, controller, found)[0]
    except ConnectionError:
        return


async def stream(
    context: ApiContext, principal: Principal, site_id: str, *, brief: bool = False
) -> AsyncIterator[bytes]:
    """Server-sent events: `now` (SiteNow) at once and then at most once a second, `away` (its words) when the site
    cannot be reached, comments in silence. `brief`: `why` of the EVSEs is left empty. Raises Problem 404 and 503 `busy`
    before anything is sent."""
    registry, controller = Controllers.of(context), _controller(context, principal, site_id)
    if registry.watching >= WATCHERS:
        raise problem("busy", headers={"Retry-After": "10"})
    return _events(context, registry, principal.tenant, site_id, controller, brief)


async def _events(
    context: ApiContext, registry: Controllers, tenant: str, site_id: str, controller: seen.Controller, brief: bool
) -> AsyncIterator[bytes]:
    registry.watching += 1
    found = controller.ticks()
    waiting: asyncio.Task[seen.Now] | None = None
    closing = asyncio.ensure_future(context.closing.wait())
    try:
        yield b"retry: 2000\n\n"
        while not context.closing.is_set() and registry.get(site_id, tenant=tenant) is controller:
            waiting = waiting or asyncio.ensure_future(_next(found))
            await asyncio.wait((waiting, closing), timeout=HEARTBEAT_S, return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done():
                yield COMMENT
                continue
            done, waiting = waiting, None
            try:
                state = done.result()
            except (ConnectionError, LookupError) as error:
                yield message("away", {"detail": str(error)})
                return
            shown, encoded = registry.laid_out(tenant, site_id, controller, state)
            if brief not in encoded:
                encoded[brief] = message("now", _brief(shown) if brief else shown)
            yield encoded[brief]
    finally:
        registry.watching -= 1
        closing.cancel()
        if waiting is not None:
            waiting.cancel()
            await asyncio.wait((waiting,))
        close: Callable[[], Awaitable[None]] | None = getattr(found, "aclose", None)
        if close is not None:
            await close()


def _brief(shown: types.SiteNow) -> types.SiteNow:
    return msgspec.structs.replace(shown, evses=[msgspec.structs.replace(one, why=[]) for one in shown.evses])


async def _next(found: AsyncIterator[T]) -> T:
    try:
        return await anext(found)
    except StopAsyncIteration:
        # A future cannot carry a StopIteration, and this one says the same more plainly.
        raise ConnectionError("the site has ended") from None


async def past(context: ApiContext, principal: Principal, site_id: str, at_ms: int) -> types.SitePast:
    """The decision that was in force then, made again."""
    controller = _controller(context, principal, site_id)
    found = await _asked(controller.at(at_ms))
    return types.SitePast(asked_at=to_rfc3339(at_ms), same=found.same, now=_now(site_id, controller, found.now))


async def changes(
    context: ApiContext, principal: Principal, site_id: str, evse: str, from_ms: int, until_ms: int
) -> list[types.SetPointChange]:
    """The oldest first, with the one in force at the beginning; at most the last 1,000."""
    controller = _controller(context, principal, site_id)
    return [
        types.SetPointChange(
            time=to_rfc3339(one.at_ms),
            evse=one.evse,
            unit=_unit(one.unit),
            value=_in_unit(one.unit, one.value),
            code=one.code,
            words=one.words,
        )
        for one in await _asked(controller.changes(evse, from_ms, until_ms))
    ]


async def course(
    context: ApiContext, principal: Principal, site_id: str, from_ms: int, until_ms: int, step_s: int
) -> types.SiteCourse:
    """Means over steps. Raises Problem 400 for more than 3,000 of them, and for a step that is no whole minutes."""
    controller = _controller(context, principal, site_id)
    if step_s <= 0 or step_s % 60:
        raise _wrong("step", _("whole minutes, in seconds: 60, 900, 3600 …"))
    if not from_ms < until_ms:
        raise _wrong("until", _("has to be after `from`"))
    if (until_ms - from_ms) // (step_s * 1_000) > MOST_STEPS:
        raise _wrong("step", _("makes more than {n} steps: take a longer one", n=MOST_STEPS))
    found = await _asked(controller.course(from_ms, until_ms, step_s * 1_000))
    return types.SiteCourse(
        site_id=site_id,
        begin=to_rfc3339(found.from_ms),
        step_s=found.step_ms // 1_000,
        time_zone=controller.time_zone,
        steps=[
            types.SiteCourseStep(
                time=to_rfc3339(one.from_ms),
                grid_w=watts(one.grid_mw),
                pv_w=watts(one.pv_mw),
                battery_w=watts(one.battery_mw),
                cars_w=watts(one.cars_mw),
                building_w=watts(one.building_mw),
                highest_grid_w=watts(one.highest_grid_mw),
                soc_percent=_percent(one.soc_permille),
                planned_grid_w=watts(one.planned_grid_mw),
                planned_cars_w=watts(one.planned_cars_mw),
                planned_battery_w=watts(one.planned_battery_mw),
            )
            for one in found.steps
        ],
    )


MOST_STEPS = 3_000


def _wrong(field: str, text: str) -> Problem:
    return problem("bad-parameter", errors=[{"field": field, "message": text}])


async def windows(
    context: ApiContext, principal: Principal, site_id: str, from_ms: int, until_ms: int
) -> list[types.ClosedWindow]:
    """Demand windows that ended then, the oldest first."""
    controller = _controller(context, principal, site_id)
    return [_closed(one) for one in await _asked(controller.windows(from_ms, until_ms))]


async def peaks(
    context: ApiContext, principal: Principal, site_id: str, from_ms: int, until_ms: int
) -> list[types.MonthPeak]:
    """Of the months in this time, the oldest first."""
    controller = _controller(context, principal, site_id)
    return [
        types.MonthPeak(
            id=one.window,
            node=one.node,
            month=f"{one.month // 100:04}-{one.month % 100:02}",
            peak_w=_w(one.peak_mw),
            time=_time(one.at_ms),
        )
        for one in await _asked(controller.peaks(from_ms, until_ms))
    ]


async def plan(context: ApiContext, principal: Principal, site_id: str) -> types.SiteOutlook | None:
    """The plan in force; None without one."""
    controller = _controller(context, principal, site_id)
    found = await _asked(controller.outlook())
    if found is None:
        return None
    return types.SiteOutlook(
        site_id=site_id,
        made_at=to_rfc3339(found.made_ms),
        end=to_rfc3339(found.until_ms),
        words=found.words,
        begin=to_rfc3339(found.made_ms if found.from_ms is None else found.from_ms),
        step_s=found.step_ms // 1_000,
        grid_w=[_w(mw) for mw in found.grid_mw],
        batteries_w={id: [_w(mw) for mw in row] for id, row in sorted(found.batteries.items())},
        cars=[
            types.PlannedCar(
                evse=one.evse,
                energy_wh=one.energy_wh,
                unmet_wh=one.unmet_wh,
                words=one.words,
                course=[
                    types.PlannedStep(begin=to_rfc3339(begin), end=to_rfc3339(end), power_w=_w(mw))
                    for begin, end, mw in one.course
                ],
            )
            for one in found.cars
        ],
    )


# -- laying out -------------------------------------------------------------------------------------------------------
def _w(mw: int) -> int:
    """mW to W, to the nearest; half a watt goes up."""
    return (mw + 500) // 1_000


def watts(mw: int | None) -> int | None:
    """The same of what may not be known."""
    return None if mw is None else _w(mw)


def _time(ms: int | None) -> str | None:
    return None if ms is None else to_rfc3339(ms)


def _percent(permille: int | None) -> float | None:
    return None if permille is None else permille / 10


def _unit(unit: str):
    return "W" if unit == "mW" else "mA"


def _in_unit(unit: str, value: int) -> int:
    return _w(value) if unit == "mW" else value


def _flows(found: seen.Flows) -> types.SiteFlows:
    return types.SiteFlows(
        grid_w=watts(found.grid),
        pv_w=watts(found.pv),
        battery_w=watts(found.battery),
        cars_w=watts(found.cars),
        building_w=watts(found.building),
    )


def _now(site_id: str, controller: seen.Controller, found: seen.Now) -> types.SiteNow:
    picture = found.picture
    return types.SiteNow(
        site_id=site_id,
        name=controller.name,
        time_zone=controller.time_zone,
        time=to_rfc3339(picture.at_ms),
        seq=picture.seq,
        flows=_flows(picture.flows),
        nodes=[_node(one) for one in picture.nodes],
        evses=[_evse(one, found.why.get(one.id, ())) for one in picture.evses],
        devices=[_device(one) for one in picture.devices],
        marks=[types.SiteMark(where=one.where, code=one.code, words=one.words) for one in picture.marks],
        limits=[_limit(one) for one in found.limits],
        windows=[_window(one) for one in found.windows],
    )


def _node(one: seen.NodePicture) -> types.SiteNode:
    return types.SiteNode(
        id=one.id,
        kind=one.kind,
        parent=one.parent,
        metered=one.metered,
        online=one.online,
        current_ma=list(one.phases_ma),
        power_w=watts(one.power_mw),
        limits=[
            types.LowestLimit(
                what=each.what,
                value=_w(each.value) if each.what == "power" else each.value,
                unit="W" if each.what == "power" else "mA",
                source=each.source,
            )
            for each in one.limits
        ],
    )


def _evse(one: seen.EvsePicture, why: tuple[str, ...]) -> types.SiteEvse:
    return types.SiteEvse(
        id=one.id,
        node=one.node,
        online=one.online,
        pilot=one.pilot,
        charging=one.charging,
        power_w=watts(one.power_mw),
        current_ma=list(one.phases_ma),
        unit=_unit(one.unit),
        set_point=_in_unit(one.unit, one.set_point),
        target=_in_unit(one.unit, one.target),
        confirmed=None if one.confirmed is None else _in_unit(one.unit, one.confirmed),
        code=one.code,
        reason=one.reason,
        why=list(why),
        session=one.session,
        session_wh=one.session_wh,
        energy_wh=one.energy_wh,
        soc_percent=_percent(one.soc),
        departure_at=_time(one.departure_ms),
        fault=one.fault,
    )


def _device(one: seen.DevicePicture) -> types.SiteDevice:
    points = {
        f"{name.removesuffix('_mw')}_w" if name.endswith("_mw") else name: _w(value) if name.endswith("_mw") else value
        for name, value in one.points.items()
    }
    return types.SiteDevice(id=one.id, kind=one.kind, node=one.node, online=one.online, points=points)


def _limit(one: seen.LimitRow) -> types.SiteLimit:
    return types.SiteLimit(
        node=one.node,
        source=one.source,
        kind=one.kind,
        current_ma=None if one.phases_ma is None else list(one.phases_ma),
        power_w=watts(one.power_mw),
        imbalance_ma=one.imbalance_ma,
        in_force=one.in_force,
        binding=one.binding,
        begin=_time(one.from_ms),
        end=_time(one.until_ms),
    )


def _window(one: WindowView) -> types.SiteWindow:
    return types.SiteWindow(
        id=one.id,
        node=one.node,
        begin=to_rfc3339(one.from_ms),
        end=to_rfc3339(one.until_ms),
        energy_wh=one.energy_wh,
        target_w=_w(one.target_mw),
        limit_w=_w(one.limit_mw),
        forecast_w=_w(one.forecast_mw),
        peak_w=_w(one.peak_mw),
        quality=one.quality,
    )


def _closed(one: WindowSummary) -> types.ClosedWindow:
    return types.ClosedWindow(
        id=one.id,
        node=one.node,
        begin=to_rfc3339(one.from_ms),
        end=to_rfc3339(one.until_ms),
        energy_wh=one.energy_wh,
        known_wh=one.known_wh,
        peak_w=_w(one.peak_mw),
        billed_w=_w(one.billed_mw),
        target_w=_w(one.target_mw),
        overshoot_w=_w(one.overshoot_mw),
        quality=one.quality,
        causes_w={who: _w(mw) for who, mw in sorted(one.causes.items())},
    )

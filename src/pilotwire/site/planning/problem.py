"""From a tick of the running site to the record of a plan. Pure: the same tick gives the same record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import tzinfo

import msgspec

from pilotwire.domain import planning
from pilotwire.domain.energy import Limit
from pilotwire.domain.planning import habits
from pilotwire.domain.planning.horizon import Horizon, at
from pilotwire.domain.planning.profile import DAY, Values, forecast
from pilotwire.domain.steering import Price, WindowView
from pilotwire.domain.steering import Site as SteeredSite
from pilotwire.domain.steering.calendar import bounds, holds, month_of
from pilotwire.domain.steering.config import DemandWindow
from pilotwire.domain.steering.grid14a import left
from pilotwire.domain.steering.peaks import target, weight
from pilotwire.domain.steering.prices import price_at
from pilotwire.domain.steering.state import DemandState
from pilotwire.domain.steering.telecontrol import export_mw
from pilotwire.domain.tariffs.clock import DAY_MS

from ..compiled import Site
from ..decide import Decision
from ..inputs import TickInputs
from ..ports import trusted
from .entries import PlanningEntry
from .learned import Learned, side_loads
from .needs import needs_of
from .record import Record

STEP_MS = 900_000
_NOTHING: Mapping[str, Values] = {}


class Known(msgspec.Struct, frozen=True):
    """What does not change from plan to plan."""

    site: Site
    entry: PlanningEntry
    zone: tzinfo


def record_for(
    known: Known, inputs: TickInputs, decision: Decision, learned: Learned, previous: planning.Plan | None,
    recent: Mapping[str, Values] = _NOTHING,
) -> Record:  # fmt: skip
    """All that the next plan rests on. `recent`: what has flowed lately by node, where nothing is learned yet."""
    site, entry = known.site, known.entry
    now = inputs.now.utc_ms
    horizon = Horizon(now, STEP_MS, entry.hours * 4)
    words: list[str] = []
    found = needs_of(site, entry, inputs, decision, learned, known.zone, horizon.ends_ms)
    side, whole = _sides(known, inputs, {**side_loads(site, inputs, decision), **recent}, learned, horizon, words)
    batteries = _batteries(site.steering, inputs)
    windows, windows_of = _windows(known, decision, horizon)
    pools = _pools(site, whole, horizon)
    coming: tuple[planning.Expected, ...] = ()
    if entry.expected_cars:
        visits = [
            each for each in habits.days(learned.habits, now, known.zone)
            if (out := site.outlets.get(each.evse)) is not None and out.in_service and out.mode != "off"
        ]  # fmt: skip
        coming = planning.expected(
            site.topology, visits, known.zone, now_ms=now, until_ms=horizon.ends_ms, busy=found.taken
        )
    # Who charges by an order waits for no plan.
    ordered = {id for id, order in inputs.external.evses.items() if order.mode is not None}
    modes = {id: out.mode for id, out in site.outlets.items() if id not in ordered}
    return Record(
        site=site.id,
        tree=site.topology.tree,
        now_ms=now,
        needs=found.needs,
        expected=coming,
        loads=(*side, *found.loads),
        batteries=batteries,
        prices=_prices(known, inputs, horizon, words),
        windows=windows,
        windows_of=windows_of,
        limits={
            node: tuple(limits) for node, limits in sorted(_limits(site, inputs, decision, horizon).items()) if limits
        },
        pools_mw=pools,
        feed_in_mw=_feed_in(site.steering, inputs),
        options=planning.Options(
            steps=horizon.steps, step_ms=STEP_MS, worth_micro=int(entry.value_per_kwh * 1_000_000),
            early_micro=int(entry.value_per_kwh * entry.hurry_percent * 10_000), seconds=max(1, entry.timeout_s // 3),
        ),
        previous=previous,
        steered=tuple(
            need.evse
            for need in found.needs
            if modes.get(need.evse) == "now" and need.evse not in entry.charged_at_once
        ),
        basis=found.basis,
        words=tuple(words),
    )  # fmt: skip


def _sides(
    known: Known, inputs: TickInputs, now: Mapping[str, Values], learned: Learned, horizon: Horizon, words: list[str]
) -> tuple[tuple[planning.Load, ...], list[int]]:
    """Building and sun by step; and of both together, mW."""
    site, zone = known.site, known.zone
    voltage = site.topology.tree.voltage_mv
    loads: list[planning.Load] = []
    whole = [0] * horizon.steps
    new: list[str] = []
    for node in sorted({*site.meters} & {*site.topology.places}):
        course: tuple[Values, ...] = ()
        profile = learned.sides.get(node)
        if known.entry.forecast and profile is not None:
            course = forecast(profile, horizon.starts_ms, horizon.step_ms, horizon.steps, zone)
        if (profile is None or profile.seen < DAY) and known.entry.forecast:
            new.append(node)
        if not course:
            lost = site.topology.tree.nodes[site.topology.places[node]].side_lost_ma or (0, 0, 0)
            course = (now.get(node, lost),)
        loads.append(planning.Load(id=f"beside {node}", node=node, phases_ma=tuple(_three(each) for each in course)))
    if new:
        words.append(f"what flows beside the cars is not known for a whole day yet at {', '.join(new)}")
    if site.steering is not None:
        devices = {device.id: device for device in inputs.devices}
        for each in site.steering.config.inverters:
            device = devices.get(each.id)
            power = None if device is None else trusted(device.points, "power_mw")
            profile = learned.suns.get(each.id)
            course = ()
            if known.entry.forecast and profile is not None:
                course = forecast(profile, horizon.starts_ms, horizon.step_ms, horizon.steps, zone)
            if not course:
                # Nobody knows how long the sun shines: what it gives now is counted on for an hour.
                mw = min(0, power or 0)
                course = ((mw,),) * 4 + ((0,),)
                words.append(f"what {each.id} will generate is not known yet: an hour of what it gives now")
            phases = tuple(_three((values[0] * 1_000 // (3 * voltage),) * 3) for values in course)
            loads.append(
                planning.Load(id=each.id, node=each.node, phases_ma=phases, curtailable=each.controllable)
            )  # fmt: skip
    for load in loads:
        for step in range(horizon.steps):
            whole[step] += sum(load.phases_ma[min(step, len(load.phases_ma) - 1)]) * voltage // 1_000
    return tuple(loads), whole


def _three(values: Values) -> tuple[int, int, int]:
    l1, l2, l3 = values
    return l1, l2, l3


def _batteries(steering: SteeredSite | None, inputs: TickInputs) -> tuple[planning.Battery, ...]:
    """Those that are heard."""
    if steering is None:
        return ()
    devices = {device.id: device for device in inputs.devices}
    found: list[planning.Battery] = []
    for each in steering.config.batteries:
        device = devices.get(each.id)
        soc = None if device is None else trusted(device.points, "soc_permille")
        if soc is None:
            continue
        found.append(
            planning.Battery(
                id=each.id,
                node=each.node,
                level_wh=each.capacity_wh * soc // 1_000,
                capacity_wh=each.capacity_wh * max(each.full_permille, soc) // 1_000,
                charge_mw=each.charge_mw,
                discharge_mw=each.discharge_mw,
                # Below its reserve it is not emptied further, and not filled for its own sake either.
                reserve_wh=each.capacity_wh * min(each.peak_permille, soc) // 1_000,
                efficiency=each.efficiency,
            )
        )
    return tuple(found)


def _prices(known: Known, inputs: TickInputs, horizon: Horizon, words: list[str]) -> planning.Prices:
    """By step. What is not known yet is as it was a day before, else as it is on average."""
    steering = known.site.steering
    imports: list[int | None] = []
    exports: list[int | None] = []
    config = None if steering is None else steering.config
    table = {price.from_ms: price for price in inputs.external.prices}
    for step in range(horizon.steps):
        begin = horizon.begins(step)
        found = None if config is None else price_at(config, inputs.external, begin)
        price = None if found is None else found[0]
        if price is None and step >= 96:
            imports.append(imports[step - 96])
            exports.append(exports[step - 96])
            continue
        if price is None:
            price = _day_before(table, begin)
        imports.append(None if price is None else price.import_micro)
        exports.append(None if price is None else price.export_micro)
    told = [price for price in imports if price is not None]
    if not told:
        words.append("no prices are known: planning.import_price and export_price are assumed")
        return planning.Prices(
            (int(known.entry.import_price * 1_000_000),), (int(known.entry.export_price * 1_000_000),)
        )
    if len(told) < horizon.steps:
        hours = (horizon.steps - len(told)) / 4
        words.append(f"for {hours:g} h no price is known yet: the mean of the others is assumed")
    sold = [price for price in exports if price is not None]
    mean, mean_sold = sum(told) // len(told), sum(sold) // len(sold)
    return planning.Prices(
        tuple(mean if price is None else price for price in imports),
        tuple(mean_sold if price is None else price for price in exports),
    )


def _day_before(table: Mapping[int, Price], at_ms: int) -> Price | None:
    for price in table.values():
        if price.from_ms <= at_ms - DAY_MS < price.until_ms:
            return price
    return None


def _windows(known: Known, decision: Decision, horizon: Horizon) -> tuple[tuple[planning.Window, ...], tuple[str, ...]]:
    """Of the connection. Where a peak has a price it may be worth it; elsewhere what is paid for is not exceeded."""
    steering = known.site.steering
    if steering is None:
        return (), ()
    views = {view.id: view for view in decision.windows}
    priced = {peak.window: int(peak.price_per_kw * 1_000_000) for peak in known.entry.peaks}
    found: list[planning.Window] = []
    ids: list[str] = []
    for contract in steering.config.windows:
        if contract.node != steering.root:
            continue
        state = decision.state.steering.demands.get(contract.id, DemandState())
        ids.append(contract.id)
        found.append(_window(contract, state, views.get(contract.id), priced.get(contract.id, 0), horizon))
    return tuple(found), tuple(ids)


def _window(
    contract: DemandWindow, state: DemandState, view: WindowView | None, price: int, horizon: Horizon
) -> planning.Window:
    now = horizon.now_ms
    begins, ends = bounds(now, contract.minutes, contract.zone)
    paid = target(contract, state.months, begins, None)
    # By so much side loads may rise while cars give way: steering keeps it free, so the plan does too.
    aim = max(0, paid - contract.reserve_mw)
    fixed = contract.hard or not price
    weights = tuple(weight(contract, horizon.starts_ms + step * horizon.step_ms) for step in range(horizon.steps))
    return planning.Window(
        minutes=contract.minutes,
        offset_ms=begins % (contract.minutes * 60_000),
        target_mw=aim if fixed else None,
        peak_micro=0 if contract.hard else price,
        incumbent_mw=0 if fixed else paid * weight(contract, begins) // 1_000,
        floor_mw=max(contract.floor_mw, contract.contracted_mw),
        resets_ms=None if fixed else _next_month(contract, horizon),
        so_far_wh=max(0, view.energy_wh) if view is not None and view.from_ms <= now < ends else 0,
        weights=weights if contract.weights else (),
    )


def _next_month(contract: DemandWindow, horizon: Horizon) -> int | None:
    key = month_of(horizon.now_ms, contract.zone)
    for step in range(horizon.steps):
        begin = horizon.starts_ms + step * horizon.step_ms
        if begin > horizon.now_ms and month_of(begin, contract.zone) != key:
            return begin
    return None


def _limits(site: Site, inputs: TickInputs, decision: Decision, horizon: Horizon) -> dict[str, list[Limit]]:
    """What lowers nodes beside the tree's own limits: schedules, contracts, orders, sources, telecontrol.

    What is ordered without an end is taken to last for the whole plan: the next one knows better.
    """
    found: dict[str, list[Limit]] = {}

    def put(node: str, limit: Limit) -> None:
        if node in site.topology.places:
            found.setdefault(node, []).append(limit)

    for id, source in sorted(site.sources.items()):
        word = decision.state.heard.get(id)
        lost = word is None or inputs.now.tick_ms - word.at_ms >= source.lost_after_ms
        limit = source.lost_limit if word is None or lost else word.limit
        if limit is not None:
            put(source.node, limit)
    for node, limits in sorted(inputs.external.limits.items()):
        for limit in limits:
            put(node, limit)
    steering = site.steering
    if steering is None:
        return found
    for contract in steering.config.contracts:
        put(contract.node, Limit(source="contracted capacity", power_mw=contract.power_mw))
    for schedule in steering.config.schedules:
        for begin, end in _spans(horizon, lambda ms, each=schedule: holds(each.span, ms, each.zone)):
            limit = schedule.limit
            since = begin if limit.from_ms is None else max(begin, limit.from_ms)
            until = end if limit.until_ms is None else min(end, limit.until_ms)
            if since < until:
                put(schedule.node, msgspec.structs.replace(limit, from_ms=since, until_ms=until))
    for control in inputs.external.controls:
        if control.kind == "import_limit" and control.value_mw is not None:
            put(
                control.node,
                Limit(
                    source=control.source, power_mw=control.value_mw, from_ms=control.from_ms, until_ms=control.until_ms
                ),
            )
        elif control.kind == "steuve_limit":
            for steuve in steering.config.steuve:
                if steuve.node == control.node:
                    # The building beside the controllable devices is not dimmed: what it may take at most is added.
                    least = left(steuve, steering.config.loads).together
                    mw = max(least, control.value_mw or 0) + _building_mw(site, inputs, decision, steuve.node)
                    put(
                        control.node,
                        Limit(source=control.source, power_mw=mw, from_ms=control.from_ms, until_ms=control.until_ms),
                    )
    return found


def _building_mw(site: Site, inputs: TickInputs, decision: Decision, node: str) -> int:
    """What flows at a node beside its controllable devices, now."""
    ma = sum(max(0, each) for each in side_loads(site, inputs, decision).get(node, (0, 0, 0)))
    return ma * site.topology.tree.voltage_mv // 1_000


def _spans(horizon: Horizon, applies: object) -> Iterator[tuple[int, int]]:
    """Stretches of steps for which something holds, from before now until after the plan."""
    assert callable(applies)
    begun: int | None = None
    for step in range(horizon.steps):
        begin = horizon.starts_ms + step * horizon.step_ms
        if applies(begin):
            begun = begin if begun is None else begun
        elif begun is not None:
            yield begun, begin
            begun = None
    if begun is not None:
        yield begun, horizon.ends_ms


def _pools(site: Site, whole: list[int], horizon: Horizon) -> dict[str, tuple[int, ...]]:
    """What would be exported, by step: what cars share that follow the sun."""
    steering = site.steering
    if steering is None or steering.config.surplus is None:
        return {}
    surplus = steering.config.surplus
    return {
        surplus.pool: tuple(max(0, -at(whole, step) - surplus.residual_mw) for step in range(horizon.steps)),
    }  # fmt: skip


def _feed_in(steering: SteeredSite | None, inputs: TickInputs) -> int | None:
    """The lowest of what may be exported at the connection."""
    if steering is None:
        return None
    installed = sum(each.nominal_mw for each in steering.config.inverters)
    found: list[int] = []
    for each in steering.config.feed_in:
        if each.node != steering.root:
            continue
        if each.limit_mw is not None:
            found.append(each.limit_mw)
        if each.share_permille is not None:
            found.append(installed * each.share_permille // 1_000)
    now = inputs.now.utc_ms
    found += [
        export_mw(steering, control)
        for control in inputs.external.controls
        if control.kind == "export_limit" and control.node == steering.root and control.in_force(now)
    ]
    return min(found, default=None)

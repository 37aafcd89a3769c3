"""The whole wizard over simulated devices on real sockets: scan, map, phases, fail-safe, dry run, file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.site.commissioning.real_site import CHARGER, METER, PATIENCE_S, RealSite

from pilotwire.cli.main import main
from pilotwire.domain.commissioning import Edit, Job, PhasesAsk, Refused, ScanAsk, State
from pilotwire.site.commissioning.wizard import Wizard
from pilotwire.site.devices.behaviour import LoadBehaviour
from pilotwire.site.devices.load import find_device
from pilotwire.site.devices.simulator import Simulator
from pilotwire.transport.runtime import SteadyScheduler


@pytest.fixture
async def real() -> AsyncIterator[RealSite]:
    site = RealSite("ST")
    await site.start()
    try:
        yield site
    finally:
        await site.close()


def wizard_of(folder: Path) -> Wizard:
    return Wizard(folder / "data", folder / "site.yaml", report=lambda text: None)


async def over(wizard: Wizard) -> Job:
    """Until the job is over."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                job = (await wizard.state()).job
                if job is not None and job.status != "running":
                    return job
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"still {(await wizard.state()).job}") from None


async def words(wizard: Wizard) -> str:
    job = (await wizard.state()).job
    return "" if job is None else job.words


async def scanned(wizard: Wizard, real: RealSite) -> State:
    ask = ScanAsk(hosts=tuple(f"127.0.0.1:{port}" for port in (*real.ports, real.meter_port)), units=(1,))
    await wizard.scan(ask)
    job = await over(wizard)
    assert job.status == "done", job
    return await wizard.state()


async def mapped(wizard: Wizard, real: RealSite) -> State:
    state = await scanned(wizard, real)
    order = {f"tcp://127.0.0.1:{port}": at for at, port in enumerate(real.ports)}
    found = sorted(state.found, key=lambda one: order.get(one.endpoint, -1))
    await wizard.edit(Edit(take={one.id: METER if one.files[0].kind == "meter" else "" for one in found}))
    await wizard.edit(
        Edit(
            site={"id": "yard", "name": "The yard"},
            failsafe={"watchdog_s": 5, "meter_s": 5},
            nodes=({"id": "grid", "side_lost_a": 10, "limits": [{"source": "fuse", "current_a": 50}]},),
        )
    )
    return await wizard.state()


async def test_the_whole_way(real: RealSite, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wizard = wizard_of(tmp_path)
    assert (await wizard.state()).stage == "scan"
    state = await mapped(wizard, real)
    assert [one.files[0].id for one in state.found].count(CHARGER) == 2
    assert METER in {file.id for one in state.found for file in one.files}
    assert state.draft.sound, state.draft.findings
    assert [each.id for each in state.draft.evses] == ["bay-1", "bay-2"]
    assert state.draft.nodes[0].meter == "main"
    assert len(state.mapped) == 3
    assert state.stage == "phases"
    assert not real.heard(), "looking and mapping write nothing"

    for charger in real.chargers:
        charger.plugged = True
    await wizard.phases(PhasesAsk(settle_s=1, pulses=1))
    job = await over(wizard)
    state = await wizard.state()
    assert job.status == "done", job
    found = {each.evse: (each.outcome, each.rotation) for each in state.verdicts}
    assert found == {"bay-1": ("found", "STR"), "bay-2": ("found", "TRS")}, state.verdicts
    await wizard.accept(())
    state = await wizard.state()
    assert [each.rotation for each in state.draft.evses] == ["STR", "TRS"]

    await wizard.failsafe(prove=False)
    job = await over(wizard)
    state = await wizard.state()
    assert job.status == "done", job
    assert {each.outcome for each in state.failsafes} == {"confirmed"}, state.failsafes
    assert not state.overloads

    heard = len(real.heard())
    await wizard.dry_run(3)
    job = await over(wizard)
    state = await wizard.state()
    assert job.status == "done", job
    assert state.dry_run is not None and state.dry_run.seconds >= 2 and state.dry_run.ticks
    assert state.dry_run.commands, "it would have commanded"
    assert len(real.heard()) == heard, "and nobody has heard a word"

    with pytest.raises(Refused, match="pilotwire site run"):
        await wizard.write(live=True)
    path = await wizard.write(live=False)
    assert main(["site", "check", path]) == 0, capsys.readouterr().out
    await wizard.close()
    begun: list[str] = []

    async def go_live() -> None:
        begun.append((tmp_path / "site.yaml").read_text())

    again = Wizard(tmp_path / "data", tmp_path / "site.yaml", go_live=go_live, live=lambda: bool(begun))
    await again.write(live=True)
    state = await again.state()
    assert begun == [state.draft.text] and state.live and state.done[-1] == "live"
    assert (tmp_path / "site.yaml.before").read_text() == state.draft.text
    await again.close()


async def test_a_charger_that_is_left_alone_is_seen_to_fall_back_and_a_load_is_set(tmp_path: Path) -> None:
    real = RealSite("S")
    await real.start()
    boiler = Simulator(SteadyScheduler())
    inside = boiler.add(find_device("my-pv-ac-thor"))
    wizard = wizard_of(tmp_path)
    try:
        await mapped(wizard, real)
        endpoint = f"tcp://127.0.0.1:{await boiler.listen()}"
        await wizard.edit(
            Edit(devices=({"id": "boiler", "kind": "load", "file": "my-pv-ac-thor", "endpoint": endpoint},))
        )
        text = (await wizard.state()).draft.text
        entry = "{id: boiler, node: grid, maximum_kw: 9, failsafe_kw: 0, watchdog_s: 30}"
        await wizard.edit(Edit(text=f"{text}loads:\n- {entry}\n"))
        real.chargers[0].plugged = True
        await wizard.failsafe(prove=True)
        job = await over(wizard)
        state = await wizard.state()
        load, result = state.failsafes
        assert (job.status, job.words) == ("done", "2 of 2 read back"), job
        assert (result.outcome, result.proof) == ("confirmed", "fell_back"), result
        assert (real.chargers[0].failsafe_ma, real.chargers[0].watchdog_ms) == (6_000, 5_000)
        assert (load.evse, load.unit, load.outcome) == ("boiler", "mW", "confirmed"), load
        assert isinstance(inside, LoadBehaviour) and inside.watchdog_ms == 30_000
        assert "failsafe" in state.done
        await wizard.edit(Edit(text=state.draft.text.replace("watchdog_s: 30", "watchdog_s: 40")))
        state = await wizard.state()
        assert [each.evse for each in state.failsafes] == [result.evse], "what was read back is another thing now"
        assert "failsafe" not in state.done
    finally:
        await wizard.close()
        await boiler.close()
        await real.close()


async def test_a_restart_in_the_middle_goes_on_where_it_was(real: RealSite, tmp_path: Path) -> None:
    wizard = wizard_of(tmp_path)
    before = await mapped(wizard, real)
    for charger in real.chargers:
        charger.plugged = True
    await wizard.phases(PhasesAsk(settle_s=1, pulses=3))
    async with asyncio.timeout(PATIENCE_S):
        while max(each.offered_ma for each in real.chargers) < 16_000 or "more" not in await words(wizard):
            await asyncio.sleep(0.05)
    await wizard.close()
    assert all(each.offered_ma <= 6_000 for each in real.chargers), "everybody was told the safe value"

    again = wizard_of(tmp_path)
    state = await again.state()
    assert state.job is not None and state.job.status == "interrupted" and "again" in state.job.todo
    assert state.draft == before.draft and state.found == before.found
    await again.phases(PhasesAsk(evses=("bay-2",), settle_s=1, pulses=1))
    with pytest.raises(Refused, match="under way"):
        await again.failsafe(prove=False)
    await again.cancel()
    job = (await again.state()).job
    assert job is not None and job.status == "cancelled"
    await again.close()
    (tmp_path / "data" / "commissioning.json").write_text("{")
    said: list[str] = []
    third = Wizard(tmp_path / "data", tmp_path / "site.yaml", report=said.append)
    assert "put aside" in said[0] and (await third.state()).stage == "scan"


async def test_while_the_site_is_live_nobody_else_commands_its_chargers(tmp_path: Path) -> None:
    wizard = Wizard(tmp_path / "data", tmp_path / "site.yaml", live=lambda: True, report=lambda text: None)
    for ask in (wizard.phases(PhasesAsk()), wizard.failsafe(prove=False), wizard.dry_run(5)):
        with pytest.raises(Refused, match="live"):
            await ask


async def test_what_cannot_be_begun_says_what_to_do_first(tmp_path: Path) -> None:
    wizard = wizard_of(tmp_path)
    with pytest.raises(Refused, match="say where to look"):
        await wizard.scan(ScanAsk())
    with pytest.raises(Refused, match="to mend first"):
        await wizard.dry_run(5)
    with pytest.raises(Refused, match="nothing is under way"):
        await wizard.cancel()
    with pytest.raises(Refused, match="not been found"):
        await wizard.edit(Edit(take={"tcp://10.0.0.1:502#1": ""}))
    await wizard.scan(ScanAsk(hosts=("8.8.8.8",)))
    job = await over(wizard)
    assert job.status == "failed" and "no private address" in job.words and job.todo


async def test_stations_that_knock_are_noted_with_their_password_and_can_be_entered(tmp_path: Path) -> None:
    from websockets.asyncio.client import connect
    from websockets.exceptions import InvalidStatus

    (tmp_path / "site.yaml").write_text(
        "site: {id: k}\nnodes: [{id: grid, kind: connection}]\nocpp: {listen: '127.0.0.1:0'}\n"
    )
    wizard = wizard_of(tmp_path)
    bells: list[int] = []

    import pilotwire.site.commissioning.wizard as module

    class Bell(module.Doorbell):
        async def start(self, listen: str) -> int:
            bells.append(await super().start(listen))
            return bells[-1]

    original, module.Doorbell = module.Doorbell, Bell  # type: ignore[misc]
    try:
        await wizard.scan(ScanAsk(stations_s=3))
        async with asyncio.timeout(PATIENCE_S):
            while not bells:
                await asyncio.sleep(0.02)
            with pytest.raises(InvalidStatus):
                url = f"ws://CP-7:secret@127.0.0.1:{bells[0]}/ocpp/CP-7"
                await connect(url, subprotocols=["ocpp1.6"])  # type: ignore[list-item]
        assert (await over(wizard)).status == "done"
    finally:
        module.Doorbell = original  # type: ignore[misc]
    state = await wizard.state()
    assert [(one.identity, one.state) for one in state.found] == [("CP-7", "refused")]
    await wizard.edit(Edit(take={"ocpp:CP-7": ""}))
    state = await wizard.state()
    assert state.draft.evses[0].reached == "OCPP CP-7, connector 1"
    assert "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b" in state.draft.text  # of "secret"

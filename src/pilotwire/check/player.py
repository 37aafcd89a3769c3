"""Plays one case.

The steps are gone through in order, and what the system under test does on its own is waited for, never slept for. A
CALL that comes is bound to the first of the coming steps that expects it, as far as the next step of ours: whatever
came before that cannot be its consequence. So what may come in any order may be listed in any order. A CALL that no
step expects is answered politely.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from pilotwire.protocols.ocpp.rpc.errors import wire_code

from . import polite
from .case import OWN_VERBS, Script, Step
from .drive import Cannot, Driver, Failed
from .match import find, fits, flat, misfits
from .settings import Settings, Unset, moment
from .wire import Answer, Frame, Incoming, KitError, Wire

PASSED = "passed"
FAILED = "failed"
NOT_RUN = "not run"


class Failure(Exception):
    """The system under test did not do what was wanted; the text says both."""


class Refused(Exception):
    """The peer did not take the connection. `status` is its HTTP status, 0 without one."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"refused with HTTP {status}" if status else reason)
        self.status = status


class Place(Protocol):
    """Where connections come from: dialled as a station, or taken as a CSMS."""

    async def open(self, player: Player, wanted: Mapping[str, Any]) -> Wire:
        """A connection that `player` plays on. Raises Refused, or TimeoutError where none comes."""
        ...

    async def leave(self, player: Player) -> None:
        """The case is over."""
        ...


class Outcome(msgspec.Struct, kw_only=True):
    """What became of a case."""

    id: str
    title: str
    side: str
    version: str
    profile: str
    requirements: list[str]
    status: str
    seconds: float = 0.0
    step: str = ""
    """The step that failed, in words."""
    number: int = 0
    reason: str = ""
    """What was wanted and what came instead, or why it was not run."""
    faults: list[str] = []
    """Frames that are not valid, whatever the steps say."""
    frames: list[Frame] = []
    """Those of the failed step."""


def status_of(call: Incoming) -> dict[str, Any] | None:
    """The connector's status that a message tells, in one form for all versions: status, evse, connector."""
    payload = call.payload
    if call.action == "StatusNotification" and "connectorStatus" in payload:
        status, evse, connector = payload["connectorStatus"], payload.get("evseId"), payload.get("connectorId")
        return {"status": status, "evse": evse, "connector": connector}
    if call.action == "StatusNotification":
        return {"status": payload.get("status"), "evse": payload.get("connectorId"), "connector": 1}
    for event in payload.get("eventData", ()) if call.action == "NotifyEvent" else ():
        component = event.get("component", {})
        if component.get("name") == "Connector" and event.get("variable", {}).get("name") == "AvailabilityState":
            evse = component.get("evse", {})
            return {"status": event.get("actualValue"), "evse": evse.get("id"), "connector": evse.get("connectorId")}
    return None


def view(step: Step, call: Incoming) -> Any:
    """The payload of `call` as `step` looks at it; None when it is another message."""
    if step.expect == "$ConnectorStatus":
        return status_of(call)
    return call.payload if call.action in (step.expect, step.drive) else None


class Player:
    """One case, played once."""

    def __init__(
        self, script: Script, settings: Settings, driver: Driver, place: Place, *, timeout_s: float = 10.0
    ) -> None:
        self.script = script
        self.settings = settings.copy()
        self.settings.values |= script.case.let
        self.timeout_s = timeout_s
        self.wire: Wire | None = None
        self._driver = driver
        self._place = place
        self._steps = script.steps
        self._index = 0
        self._bound: dict[int, list[Incoming]] = {}
        self._near: list[Incoming] = []
        self._calls: list[Incoming] = []
        self._seq: dict[str, int] = {}
        self._last: dict[str, Any] = {}
        """The last TransactionEvent of each transaction."""
        self._running: dict[str, int] = {}
        """Station under test: transactions that have begun and not ended, with their EVSE."""
        self._plugged: set[int] = set()
        self._broken: set[int] = set()
        self._changed = asyncio.Event()
        self._frames: list[Frame] = []
        self._faults: list[str] = []
        self._step_begin = 0
        self._books: dict[str, dict[str, Any]] = {}
        self._answering: set[asyncio.Task[None]] = set()
        self._kit_errors: list[KitError] = []
        self._complaints: dict[str, asyncio.Future[Answer]] = {}
        """What is to come back, by the messageId of an answer of ours that could not be read."""
        self._asked: Any = {}
        """What the operator was asked to send last, as it was filled in."""

    async def play(self) -> Outcome:
        """Play it to its end, put things back, and tell what became of it. Raises KitError where the case is wrong."""
        case = self.script.case
        outcome = Outcome(
            id=self.script.id,
            title=case.title,
            side=self.script.side,
            version=self.script.version,
            profile=case.profile,
            requirements=case.requirements,
            status=PASSED,
        )
        begin = time.monotonic()
        missing = [need for need in case.needs if self.settings.get(need) in (None, False, "")]
        if missing:
            outcome.status, outcome.reason = NOT_RUN, f"needs the setting {', '.join(missing)} (--set)"
            return outcome
        try:
            await self._play_all(self._steps)
        except Failure as failure:
            outcome.status, outcome.reason = FAILED, str(failure)
        except (Cannot, Unset) as reason:
            outcome.status, outcome.reason = NOT_RUN, str(reason)
        if outcome.status != PASSED:
            step, origin = self._steps[self._index]
            outcome.step = f"{origin}: {step.title()}" if origin else step.title()
            outcome.number = self._index + 1
        if outcome.status == FAILED:
            outcome.frames = self._frames[self._step_begin :]
        if self._faults and outcome.status == PASSED:
            outcome.status, outcome.reason = FAILED, "a frame was not valid"
            outcome.frames = [frame for frame in self._frames if frame.fault]
        outcome.faults = list(self._faults)
        await self._put_back()
        outcome.seconds = round(time.monotonic() - begin, 3)
        if self._kit_errors:
            raise KitError(f"{self.script.id}: {self._kit_errors[0]}")
        return outcome

    async def _play_all(self, steps: tuple[tuple[Step, str], ...]) -> None:
        for index, (step, _) in enumerate(steps):
            self._index = index
            self._step_begin = len(self._frames)
            if step.unset and step.unset in self.settings.values:
                continue
            for name, value in step.let.items():
                self.settings.values[name] = self.settings.fill(value)
            if step.verb in OWN_VERBS and self._answering:
                await asyncio.wait(self._answering)  # what the station is to know before it hears of our next step
            try:
                await getattr(self, f"_{step.verb}")(step)
            except KitError as error:
                raise KitError(f"{self.script.id}, step {index + 1} ({step.title()}): {error}") from error
        while self._answering:
            await asyncio.gather(*self._answering)

    async def _put_back(self) -> None:
        """The case's own `after`, an end for every open transaction, and the connection."""
        self._bound.clear()
        self._near.clear()
        self._steps = self.script.after
        self._index = 0
        if self._steps and self.wire is not None and not self.wire.closed.is_set():
            for index in range(len(self._steps)):
                try:
                    self._index = index
                    await getattr(self, f"_{self._steps[index][0].verb}")(self._steps[index][0])
                except (Failure, Cannot, Unset, Refused):
                    continue
        for name, book in self._books.items():
            if not book["ended"] and self.wire is not None and not self.wire.closed.is_set():
                end = Step(
                    event="EVDeparted", tx=name, ended=True, body={"transactionInfo": {"stoppedReason": "Local"}}
                )
                self._steps, self._index = ((end, ""),), 0
                try:
                    await self._event(end)
                except (Failure, Unset):
                    break
        if self.script.side == "station":
            await self._tidy()
        await self._place.leave(self)
        if self._answering:
            await asyncio.gather(*self._answering, return_exceptions=True)

    async def _tidy(self) -> None:
        """Station under test: no transaction, no cable, no fault is left for the next case."""
        old = self.script.version == "1.6"
        self._steps, self._index = ((Step(close=True), ""),), 0
        if self.wire is None or self.wire.closed.is_set():
            try:
                async with asyncio.timeout(self.timeout_s):
                    self.wire = await self._place.open(self, {})
            except (TimeoutError, Refused):
                return
        for transaction in list(self._running):
            name, key = ("RemoteStopTransaction", int) if old else ("RequestStopTransaction", str)
            await self.wire.call(name, {"transactionId": key(transaction)}, self.timeout_s)
        for what, evses in (("unplug", self._plugged), ("repair", self._broken)):
            for evse in sorted(evses):
                mark = len(self._calls)
                try:
                    await self._driver.press(what, {"evse": evse})
                except (Cannot, Failed):
                    continue
                free = {"status": "Available", "evse": evse}
                await self._until(
                    lambda mark=mark, free=free: any(
                        fits(status_of(call), free) for call in self._calls[mark:] if status_of(call)
                    ),
                    Step(expect="StatusNotification", within=2.0),
                    quiet=True,
                )
        await self._until(lambda: not self._running, Step(expect="StatusNotification", within=2.0), quiet=True)

    # -- what comes in ------------------------------------------------------------------------------------------------
    def frame(self, frame: Frame) -> None:
        """See `wire.Sink`."""
        self._frames.append(frame)
        if frame.fault:
            self._faults.append(f"{frame.fault}: {frame.text[:500]}")
        self._changed.set()

    def lost(self, wire: Wire, code: int) -> None:
        """See `wire.Sink`."""
        self._frames.append(Frame(at=0.0, ours=False, text=f"(connection closed, {code})"))
        self._changed.set()

    def called(self, wire: Wire, call: Incoming) -> None:
        """See `wire.Sink`."""
        self._calls.append(call)
        if self.script.side == "station":
            self._follow(call)
        step = self._bind(call)
        if not call.is_send and not (call.fault and "not valid" in call.fault):
            task = asyncio.get_running_loop().create_task(self._answer(wire, call, step))
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)
        self._changed.set()

    def _follow(self, call: Incoming) -> None:
        """Keep the books of a station's transactions; what breaks their order is a fault in any case."""
        payload = call.payload
        if call.action == "StopTransaction":
            self._running.pop(str(payload.get("transactionId")), None)
        if call.action != "TransactionEvent" or call.fault:
            return
        number = payload["seqNo"]
        transaction = payload["transactionInfo"]["transactionId"]
        before = self._seq.get(transaction)
        if before is None and payload["eventType"] != "Started" and transaction != self.settings.get("tx"):
            self._faults.append(f"transaction {transaction} begins with eventType {payload['eventType']}")
        if before is not None and number not in (before, before + 1) and not payload.get("offline"):
            self._faults.append(f"transaction {transaction}: seqNo {number} after {before}")
        self._seq[transaction] = number
        self._last[transaction] = payload
        if payload["eventType"] == "Ended":
            self._running.pop(transaction, None)
        else:
            self.settings.values["tx"] = transaction
            evse = payload.get("evse", {}).get("id", self._running.get(transaction, self.settings.get("evse")))
            self._running[transaction] = evse

    def _window(self) -> range:
        """The steps that what comes now may be meant for: from the last step of ours to before the next."""
        begin, end = self._index, self._index + 1
        while begin > 0 and self._steps[begin][0].verb not in OWN_VERBS:
            begin -= 1
        while end < len(self._steps) and self._steps[end][0].verb not in OWN_VERBS:
            end += 1
        return range(begin, min(end, len(self._steps)))

    def _bind(self, call: Incoming) -> Step | None:
        for index in self._window():
            step = self._steps[index][0]
            payload = view(step, call)
            if payload is None or step.never:
                continue
            if self._bound.get(index) and not step.until:
                continue
            if step.until and any(
                fits(view(step, each), self._fill(step.until)) for each in self._bound.get(index, ())
            ):
                continue
            if not fits(payload, self._fill(step.where)):
                continue
            if step.drive and self._misfits(step, call):
                self._near.append(call)
                continue
            self._bound.setdefault(index, []).append(call)
            for name, path in step.save.items():
                values = find(call.payload, path)
                if values:
                    self.settings.values[name] = values[0]
            return step
        return None

    def _misfits(self, step: Step, call: Incoming) -> list[str]:
        wanted = flat(self._asked) if step.drive and step.match is None else self._fill(step.match or {})
        return misfits(call.payload, wanted)

    def _fill(self, value: Any) -> Any:
        """Variables filled in; a matcher whose variable is not known yet fits nothing."""
        try:
            return self.settings.fill(value)
        except Unset as unset:
            return {"": f"={unset}"} if isinstance(value, dict) else None

    async def _answer(self, wire: Wire, call: Incoming, step: Step | None) -> None:
        try:
            if step is not None and step.unreadable:
                self._complaints[call.id] = await wire.empty(call)
                self._changed.set()
            elif step is not None and step.refuse:
                await wire.refuse(call, step.refuse, "as the test case has it")
            else:
                await wire.result(call, self._reply(call, step))
        except KitError as error:
            self._kit_errors.append(error)

    def _reply(self, call: Incoming, step: Step | None) -> Any:
        for given in (step.reply if step is not None else None, self.script.case.answers.get(call.action)):
            if given is not None:
                return self.settings.fill(given)
        if self.script.side == "csms":
            return polite.as_station(self.script.version, call.action, call.payload, self.settings)
        answer = polite.as_csms(self.script.version, call.action, call.payload, self.settings)
        if call.action == "StartTransaction":
            self.settings.values["tx"] = number = answer["transactionId"]
            self._running[str(number)] = call.payload["connectorId"]
        return answer

    # -- the verbs ----------------------------------------------------------------------------------------------------
    async def _send(self, step: Step) -> None:
        await self._call(step, step.send, self.settings.fill(step.body))

    async def _event(self, step: Step) -> None:
        book = self._books.setdefault(step.tx, {"id": "", "seq": 0, "ended": True})
        if book["ended"]:
            book.update(id=f"PW-{time.time_ns():x}", seq=0, ended=False)
        self.settings.values["tx" if step.tx == "a" else f"tx.{step.tx}"] = book["id"]
        body = self.settings.fill(step.body)
        info = {"transactionId": book["id"], **body.pop("transactionInfo", {})}
        payload = {
            "eventType": "Ended" if step.ended else "Updated" if book["seq"] else "Started",
            "timestamp": moment(),
            "triggerReason": step.event,
            "seqNo": book["seq"],
            "transactionInfo": info,
            **body,
        }
        book["seq"] += 1
        book["ended"] = step.ended
        await self._call(step, "TransactionEvent", payload)

    async def _call(self, step: Step, action: str, payload: Any) -> None:
        answer = await self._on_wire().call(action, payload, self._seconds(step))
        self._judge(step, action, answer)

    def _judge(self, step: Step, what: str, answer: Answer | None) -> None:
        codes = [wire_code(code, self.script.version) for code in step.error]
        if answer is None:
            raise Failure(f"no answer to {what}; wanted {'CALLERROR ' + ' or '.join(codes) if codes else 'one'}")
        if codes:
            if not answer.code and step.tolerated:
                return
            if not answer.code:
                raise Failure(f"{what} was answered; wanted the CALLERROR {' or '.join(codes)}")
            if answer.code not in codes:
                raise Failure(
                    f"{what} was refused with {answer.code}; wanted {' or '.join(codes)} ({answer.description})"
                )
            return
        if answer.code:
            raise Failure(f"{what} was refused with {answer.code}: {answer.description}")
        if answer.fault:
            raise Failure(answer.fault)
        found = misfits(answer.payload, self.settings.fill(step.answer or {}))
        if found:
            raise Failure(f"in the answer to {what}: {'; '.join(found)}")
        for name, path in step.save.items():
            values = find(answer.payload, path)
            if not values and not name.endswith("?"):
                raise Failure(f"the answer to {what} has no {path}")
            if values:
                self.settings.values[name.rstrip("?")] = values[0]

    async def _drive(self, step: Step) -> None:
        self._on_wire()
        self._asked = self.settings.fill(step.body)
        asked = asyncio.ensure_future(self._driver.ask(step.drive, self._asked, str(self.settings.get("id"))))
        asked.add_done_callback(lambda _: self._changed.set())
        try:
            await self._until(lambda: self._index in self._bound or asked.done(), step, quiet=True)
            if self._index not in self._bound and asked.done():
                error = asked.exception()
                if isinstance(error, Cannot):
                    raise error
                if error is not None:
                    raise Failure(str(error)) from error
                if not self._near:  # asked, and it goes out when the CSMS likes
                    await self._until(lambda: self._index in self._bound or bool(self._near), step, quiet=True)
            if self._index not in self._bound:
                near = [words for call in self._near for words in self._misfits(step, call)]
                raise Failure(
                    f"{step.drive} came, but {'; '.join(dict.fromkeys(near))}" if near else f"{step.drive} did not come"
                )
            if not asked.done():
                await asyncio.wait([asked], timeout=self._seconds(step))
            if asked.done() and isinstance(asked.exception(), Cannot):
                raise asked.exception()  # type: ignore[misc]
            await self._complained(step)
        finally:
            self._near.clear()
            if not asked.done():
                asked.cancel()
            await asyncio.gather(asked, return_exceptions=True)

    async def _act(self, step: Step) -> None:
        body = self.settings.fill(step.body)
        evse = int(body.get("evse", 0))
        try:
            await self._driver.press(step.act, body)
        except Failed as error:
            raise Failure(str(error)) from error
        if step.act == "plug":
            self._plugged.add(evse)
        elif step.act == "unplug":
            self._plugged.discard(evse)
        elif step.act == "fault":
            self._broken.add(evse)
        elif step.act == "repair":
            self._broken.discard(evse)

    async def _expect(self, step: Step) -> None:
        def there() -> bool:
            calls = self._bound.get(self._index, [])
            if not step.until:
                return bool(calls)
            return any(fits(view(step, each), self._fill(step.until)) for each in calls)

        if step.expect == "$TransactionEnded":
            await self._ended(step)
            return
        if step.never:
            for call in self._calls:
                payload = view(step, call)
                if payload is not None and fits(payload, self._fill(step.where)):
                    raise Failure(f"{call.action} came, which must not: {call.payload}")
            return
        if step.optional and not there():
            return
        await self._until(there, step)
        for call in self._bound[self._index]:
            if call.fault and "not valid" in call.fault:
                raise Failure(call.fault)
            found = misfits(view(step, call), self._fill(step.match or {}))
            if found:
                raise Failure(f"in {call.action}: {'; '.join(found)}")
        await self._complained(step)

    async def _complained(self, step: Step) -> None:
        """The peer has told, by a CALLRESULTERROR, that it could not read our answer."""
        if not step.unreadable:
            return
        call = self._bound[self._index][0]
        await self._until(lambda: call.id in self._complaints, step)
        answer = await self._soon(self._complaints[call.id])
        if answer is None:
            raise Failure(f"an empty answer to {call.action} was taken in silence; wanted a CALLRESULTERROR")
        self._judge(step, "our answer", answer)

    async def _ended(self, step: Step) -> None:
        """The transaction is over, by whatever message the station's TxStopPoint makes the last."""
        transaction = str(self.settings.get("tx"))
        await self._until(lambda: transaction not in self._running, step)
        found = misfits(self._last.get(transaction, {}), self._fill(step.match or {}))
        if found:
            raise Failure(f"in the last TransactionEvent: {'; '.join(found)}")

    async def _raw(self, step: Step) -> None:
        wire = self._on_wire()
        text = self.settings.fill(step.raw.replace("$$", "\0")).replace("\0", "$")
        future = wire.await_raw(step.id)
        await wire.write(text)
        # Whatever comes back for a plain CALL, a refusal too, shows that the frame before it has been read.
        if self.script.side == "csms":
            fence = await wire.call("Heartbeat", {}, self._seconds(step))
        elif self.script.version == "1.6":
            fence = await wire.call("GetConfiguration", {"key": ["HeartbeatInterval"]}, self._seconds(step))
        else:
            fence = await wire.call("GetTransactionStatus", {}, self._seconds(step))
        if fence is None:
            raise Failure("after this frame the connection serves nothing any more")
        if step.ignored:
            if future.done():
                raise Failure("was answered; wanted silence")
            return
        if step.answer is None and not step.error:
            return
        self._judge(step, "the frame", await self._soon(future))

    async def _soon(self, future: asyncio.Future[Answer]) -> Answer | None:
        """What comes back within the `patience`; None when nothing does, or when the connection ends."""
        await asyncio.wait([future], timeout=float(self.settings.get("patience", 1.0)))
        return future.result() if future.done() and not future.cancelled() else None

    async def _connect(self, step: Step) -> None:
        wanted = self.settings.fill(step.connect or {})
        if "identity" in wanted:
            self.settings.values["id"] = wanted["identity"]
        try:
            async with asyncio.timeout(self._seconds(step)):
                self.wire = await self._place.open(self, wanted)
        except Refused as refused:
            if step.refused is None:
                raise Failure(f"the connection was {refused}") from refused
            if step.refused and refused.status not in step.refused:
                raise Failure(
                    f"the connection was {refused}; wanted HTTP {' or '.join(map(str, step.refused))}"
                ) from refused
            return
        except TimeoutError as error:
            raise Failure("no connection in time") from error
        if step.refused is not None:
            raise Failure("the connection was opened; wanted a refusal before the upgrade")
        chosen, subprotocol = self.wire.connection.subprotocol, self.settings.fill(step.subprotocol)
        if subprotocol == "!":
            if chosen is not None:
                raise Failure(f"the peer chose {chosen}; wanted a handshake without a subprotocol")
            self._changed.set()
            await self._closed(step)
        elif subprotocol and chosen != subprotocol:
            raise Failure(f"the peer chose {chosen}; wanted {subprotocol}")
        if step.match and "compressed" in step.match:
            agreed = [extension.name for extension in self.wire.connection.protocol.extensions]
            if bool(agreed) is not step.match["compressed"]:
                raise Failure("the peer did not agree to permessage-deflate (part 4: a CSMS has to support it)")

    async def _close(self, step: Step) -> None:
        await self._on_wire().close()

    async def _closed(self, step: Step) -> None:
        wire = self.wire
        if wire is None:
            raise KitError("there is no connection")
        await self._until(wire.closed.is_set, step)

    # -- helpers ------------------------------------------------------------------------------------------------------
    def _on_wire(self) -> Wire:
        if self.wire is None:
            raise KitError("there is no connection; begin with connect")
        if self.wire.closed.is_set():
            raise Failure(f"the connection was closed by the peer ({self.wire.close_code})")
        return self.wire

    def _seconds(self, step: Step) -> float:
        value = self.settings.fill(step.within) if step.within else self.timeout_s
        return float(value)

    async def _until(self, condition: Any, step: Step, *, quiet: bool = False) -> None:
        """Wait for what comes until the condition holds. `quiet`: no Failure when it does not."""
        loop = asyncio.get_running_loop()
        end = loop.time() + self._seconds(step)
        waker = loop.call_at(end, self._changed.set)
        try:
            while not condition():
                if loop.time() >= end:
                    if quiet:
                        return
                    came = [each.payload for each in self._bound.get(self._index, [])]
                    extra = f"; what came: {came}" if came else ""
                    raise Failure(f"{step.title()}: nothing of the kind within {self._seconds(step):g} s{extra}")
                self._changed.clear()
                await self._changed.wait()
        finally:
            waker.cancel()

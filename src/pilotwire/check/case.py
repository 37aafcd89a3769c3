"""What a test case is made of.

A step has one verb, what goes with it, and what is wanted. The verbs:

    send      a CALL of ours; `answer` holds matchers on the CALLRESULT, `error` the codes of a wanted CALLERROR
    event     the next TransactionEvent of a transaction (2.x), whose book is kept: the value is the trigger reason
    drive     ask whoever operates the CSMS under test to send this action, and `expect` it
    act       ask for a hand at the station under test: plug, unplug, tap, power-cycle, fault, repair
    expect    a CALL of the system under test; `where` says which one, `match` what must be in it. The name
              `$ConnectorStatus` stands for whatever tells a connector's status, with {status, evse, connector};
              `$TransactionEnded` for the end of the running transaction, whichever message it is
    raw       a text frame exactly as it stands; `answer`/`error` under `id`, or `ignored`; neither: it disturbs nobody
    connect   open the connection; `refused` holds the wanted HTTP statuses
    close     close the connection
    closed    wait until the peer has closed it
    use       the steps of a state (see `states` in the files)

Matchers are paths into the payload (`a.b[0].c`, `[*]` for any element) with what is wanted there: see `match`.
Texts may hold variables (`$evse`, `$now+60`): see `settings`.
"""

from __future__ import annotations

from typing import Any

import msgspec

VERBS = ("send", "event", "drive", "act", "expect", "raw", "connect", "close", "closed", "use")
OWN_VERBS = frozenset({"send", "event", "drive", "act", "raw", "connect", "close"})
"""After one of these, what the system under test does may be its consequence."""

PROFILES = (
    "core",
    "security",
    "local-auth",
    "smart-charging",
    "device-management",
    "ui",
    "reservation",
    "iso15118",
    "rpc",
)
"""The certification profiles of 2.0.1 part 5; `rpc` is ours: framing and the connection (part 4)."""


class Step(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One step. See the module."""

    send: str = ""
    event: str = ""
    drive: str = ""
    act: str = ""
    expect: str = ""
    raw: str = ""
    connect: dict[str, Any] | None = None
    close: bool = False
    closed: bool = False
    use: str = ""

    say: str = ""
    """What the step is for, in words; the report tells it when the step fails."""
    body: dict[str, Any] = {}
    """Payload of send, event, drive; arguments of act."""
    tx: str = "a"
    """Which transaction's book an event is of."""
    ended: bool = False
    """The event ends its transaction."""
    answer: dict[str, Any] | None = None
    error: list[str] = []
    id: str = ""
    """raw: the messageId that the answer bears."""
    tolerated: bool = False
    """raw: a CALLRESULT will do as well as one of the errors: a receiver may be lenient."""
    ignored: bool = False
    """raw: nothing may come back, and the connection serves on."""
    refused: list[int] | None = None
    """connect: must fail with one of these HTTP statuses; empty: must fail anyhow."""
    subprotocol: str = ""
    """connect: what the peer must choose; "!" none, and it must close at once."""
    where: dict[str, Any] = {}
    match: dict[str, Any] | None = None
    """drive: in place of what was asked for."""
    until: dict[str, Any] = {}
    """expect: take one after the other until one is so."""
    reply: dict[str, Any] | None = None
    """expect, drive: the payload of our CALLRESULT; without it a polite one."""
    refuse: str = ""
    """expect, drive: the code of our CALLERROR."""
    unreadable: bool = False
    """expect, drive (2.1): our CALLRESULT is empty where something is required; `error` holds the codes of the
    CALLRESULTERROR that has to come back."""
    optional: bool = False
    """expect: need not come; nobody waits for it."""
    never: bool = False
    """expect: must not have come by now, at any time in the case."""
    save: dict[str, str] = {}
    """Variable → path in the answer (send) or in the request (expect, drive). "name?": the answer need not have it."""
    unset: str = ""
    """The step is left out when this variable has a value: it was told otherwise."""
    let: dict[str, Any] = {}
    """Variables that are set before the step."""
    within: str | float = ""
    """Seconds to wait, or a variable; default: the run's."""
    unless: str = ""
    """Left out when this state has been reached."""
    only_if: str = ""

    @property
    def verb(self) -> str:
        """The step's one verb."""
        return next(verb for verb in VERBS if getattr(self, verb) not in ("", False, None))

    def title(self) -> str:
        """The step in one line."""
        verb = self.verb
        value = str(getattr(self, verb))
        words = {
            "send": f"send {value}",
            "event": f"send TransactionEvent, {value}",
            "drive": f"have the CSMS send {value}",
            "act": f"at the station: {value}",
            "expect": f"receive {value}",
            "raw": f"send the frame {value if len(value) < 80 else value[:77] + '...'}",
            "connect": "connect",
            "close": "close the connection",
            "closed": "the peer closes the connection",
            "use": value,
        }[verb]
        return f"{words} ({self.say})" if self.say else words


class State(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Steps that many cases begin with. Reached once in a case, then held until another state clears it."""

    needs: list[str] = []
    steps: list[Step] = []
    sets: list[str] = []
    clears: list[str] = []


class Case(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One test case."""

    id: str
    title: str
    profile: str
    requirements: list[str] = []
    """Requirement ids of the standard that it is about."""
    versions: list[str] = msgspec.field(default_factory=lambda: ["2.0.1", "2.1"])
    start: str = "Booted"
    """The state that it begins in; "" for none, not even a connection."""
    needs: list[str] = []
    """Settings without which it cannot be run: it then is "not run"."""
    answers: dict[str, Any] = {}
    """Replies for this case in place of the polite ones: action → payload."""
    let: dict[str, Any] = {}
    steps: list[Step]
    after: list[Step] = []
    """Put things back; faults in these count for nothing."""


class File(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A file of cases. `block`, `profile` and `versions` are for those of its cases that say nothing."""

    side: str
    """The system under test: csms or station."""
    profile: str = "core"
    versions: list[str] = msgspec.field(default_factory=lambda: ["2.0.1", "2.1"])
    state: dict[str, State] = {}
    case: list[dict[str, Any]] = []


class Script(msgspec.Struct, frozen=True, kw_only=True):
    """A case as it is played in one version: its states written out."""

    id: str
    case: Case
    side: str
    version: str
    steps: tuple[tuple[Step, str], ...]
    """Each with the state that it belongs to, or ""."""
    after: tuple[tuple[Step, str], ...]

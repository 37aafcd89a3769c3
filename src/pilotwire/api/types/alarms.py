"""Alarms: what is wrong now and was before, the rules that say so, and who does not want to hear of it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, UnsetType

from .base import PRINTABLE, Note, PageOf, Time

AlarmSeverity = Annotated[
    Literal["critical", "major", "minor", "warning"], Meta(description="Worst first, in the words of ITU-T X.733")
]
_RuleId = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=48,
        pattern=r"^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$",
        description="Lower-case letters, digits and hyphens; never changes",
        examples=["station-offline"],
    ),
]
_RuleName = Annotated[str, Meta(min_length=1, max_length=100, pattern=PRINTABLE, examples=["Station offline"])]
_Patterns = Annotated[
    list[Annotated[str, Meta(min_length=1, max_length=64, pattern=PRINTABLE)]],
    Meta(max_length=200, description="Stations, * and ? stand for anything; empty: all", examples=[["CP-1*"]]),
]
_Sites = Annotated[
    list[Annotated[str, Meta(min_length=1, max_length=48, pattern=PRINTABLE)]],
    Meta(max_length=200, description="Ids of sites; empty: all"),
]
_Seconds = Annotated[int, Meta(ge=0, le=2_592_000)]
_Field = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[a-z][a-z0-9_]*$")]
_Word = Annotated[str, Meta(max_length=255)]
_Value = Annotated[int, Meta(ge=-(2**53), le=2**53)] | bool | _Word


class Alarm(msgspec.Struct, kw_only=True):
    """Something that was noticed by a rule: open until its condition is over, then kept."""

    id: Annotated[str, Meta(examples=["01kdvym0c0m5n0q8x2r4t6v8w0"])]
    rule_id: Annotated[str, Meta(examples=["station-offline"])]
    rule_name: str
    severity: AlarmSeverity
    state: Literal["open", "cleared"]
    station_id: Annotated[str | None, Meta(description="Null: it belongs to a site or to the system")]
    site: Annotated[str | None, Meta(description="Site where the station stood when it was raised")]
    part: Annotated[str, Meta(description="Part of the station: EVSE/connector, component/variable …")]
    evse: int | None
    connector: int | None
    summary: Annotated[str, Meta(examples=["EVSE 1: faulted (GroundFailure)"])]
    raised_at: Time
    last_at: Annotated[Time, Meta(description="When its condition was last seen")]
    cleared_at: Time | None
    cleared_why: Annotated[
        Literal["over", "timed-out", "rule-gone", "station-gone"] | None, Meta(description="Why it is over")
    ]
    count: Annotated[int, Meta(description="How often its condition was seen")]
    flapping: Annotated[bool, Meta(description="It comes and goes; it is kept open until it has stayed away")]
    value: Annotated[int | None, Meta(description="Greatest measured value, where the rule looks at one")]
    acknowledged_at: Time | None
    acknowledged_by: str | None
    note: str
    muted: Annotated[bool, Meta(description="Nobody is notified of it")]
    event_seq: Annotated[int | None, Meta(description="Journal entry that caused it last")]


class AlarmPage(PageOf[Alarm], kw_only=True):
    """Alarms: open ones first, newest first."""


class AlarmCounts(msgspec.Struct, kw_only=True):
    """How many alarms are open."""

    open: int
    unacknowledged: int
    critical: int
    major: int
    minor: int
    warning: int


class Acknowledgement(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """I have seen it."""

    note: Note = ""


class AlarmTest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A field of a fact compared with `value`, or with any of `values`."""

    field: _Field
    op: Literal["eq", "ne", "in", "not-in", "gt", "ge", "lt", "le", "contains", "prefix"] = "eq"
    value: _Value = ""
    values: Annotated[list[_Value], Meta(max_length=100)] = []


class AlarmMatch(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A fact by its name, all of whose tests hold."""

    fact: Annotated[str, Meta(max_length=64, examples=["connector-status-changed"])]
    where: Annotated[list[AlarmTest], Meta(max_length=20)] = []


class FactsCondition(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, tag="facts", tag_field="kind"):
    """Raised by any fact of `when`, ended by any of `clear`."""

    when: Annotated[list[AlarmMatch], Meta(min_length=1, max_length=20)]
    clear: Annotated[list[AlarmMatch], Meta(max_length=20)] = []
    per: Annotated[list[_Field], Meta(max_length=4, description="An alarm for every value of these fields")] = []
    count: Annotated[int, Meta(ge=1, le=1000, description="Only when seen so often …")] = 1
    within_s: Annotated[_Seconds, Meta(description="… within this time")] = 0
    for_s: Annotated[_Seconds, Meta(description="Only when it lasts so long")] = 0
    clear_after_s: Annotated[_Seconds, Meta(description="Cleared so long after the last; 0: by `clear` alone")] = 0


class StalledCondition(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, tag="stalled", tag_field="kind"):
    """A session that should be charging and whose energy register does not move."""

    for_s: Annotated[int, Meta(ge=60, le=2_592_000)] = 1800


class GaugeCondition(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, tag="gauge", tag_field="kind"):
    """A measured value above a limit."""

    gauge: Annotated[str, Meta(max_length=64, examples=["clock-skew-s"])]
    over: Annotated[int, Meta(ge=0, le=1_000_000_000)]
    back: Annotated[int, Meta(ge=0, le=1_000_000_000, description="Over only when it has come down to this")] | None = (
        None
    )
    for_s: _Seconds = 0


AlarmCondition = FactsCondition | StalledCondition | GaugeCondition


class AlarmRule(msgspec.Struct, kw_only=True):
    """When an alarm is raised."""

    id: Annotated[str, Meta(examples=["station-offline"])]
    name: str
    description: str
    severity: AlarmSeverity
    enabled: bool
    built_in: Annotated[bool, Meta(description="Ships with Pilotwire: can be changed and switched off, not lost")]
    changed: Annotated[bool, Meta(description="A built-in rule that was changed here; deleting it brings back ours")]
    condition: AlarmCondition
    sites: list[str]
    stations: list[str]
    hold_s: Annotated[int, Meta(description="How long the condition must stay away before the alarm is cleared")]
    open: Annotated[int, Meta(description="Alarms of this rule that are open")]


class AlarmRulePage(PageOf[AlarmRule], kw_only=True):
    """Every rule by id."""


class NewAlarmRule(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A rule to add."""

    id: _RuleId
    name: _RuleName
    description: Note = ""
    severity: AlarmSeverity
    enabled: bool = True
    condition: AlarmCondition
    sites: _Sites = []
    stations: _Patterns = []
    hold_s: _Seconds = 30


class AlarmRuleChange(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What to change; what is left out stays."""

    name: _RuleName | UnsetType = msgspec.UNSET
    description: Note | UnsetType = msgspec.UNSET
    severity: AlarmSeverity | UnsetType = msgspec.UNSET
    enabled: bool | UnsetType = msgspec.UNSET
    condition: AlarmCondition | UnsetType = msgspec.UNSET
    sites: _Sites | UnsetType = msgspec.UNSET
    stations: _Patterns | UnsetType = msgspec.UNSET
    hold_s: _Seconds | UnsetType = msgspec.UNSET


class AlarmFact(msgspec.Struct, kw_only=True):
    """A fact that a rule can look for."""

    name: str
    fields: Annotated[dict[str, str], Meta(description="Field → text, number, boolean or other")]


class AlarmGauge(msgspec.Struct, kw_only=True):
    """A measured value that a rule can look at."""

    name: str
    description: str


class AlarmVocabulary(msgspec.Struct, kw_only=True):
    """What rules can be made of."""

    facts: list[AlarmFact]
    gauges: list[AlarmGauge]


class AlarmMute(msgspec.Struct, kw_only=True):
    """Alarms that nobody is notified of for a while; they are raised and shown all the same."""

    id: str
    target: Literal["alarm", "rule", "station", "site"]
    value: Annotated[str, Meta(description="Id of the alarm, rule, station or site")]
    until: Annotated[Time | None, Meta(description="Null: until somebody ends it")]
    note: str
    by: str
    created_at: Time


class AlarmMutePage(PageOf[AlarmMute], kw_only=True):
    """Every mute that is not over, newest first."""


class NewAlarmMute(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What to be silent about."""

    target: Literal["alarm", "rule", "station", "site"]
    value: Annotated[str, Meta(min_length=1, max_length=64, pattern=PRINTABLE, examples=["CP-1001"])]
    until: Annotated[datetime, Meta(tz=True)] | None = None
    note: Note = ""

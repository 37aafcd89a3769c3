"""Why something is steered as it is: data for programs, words for people."""

from collections.abc import Mapping
from typing import Literal

import msgspec

Rule = Literal[
    "window", "window_lost", "window_hold", "contracted", "scheduled",
    "price_cheap", "price_wait", "cheapest_now", "cheapest_wait", "plan",
    "mode_off", "surplus_on", "surplus_wait", "surplus_off_soon", "surplus_off", "surplus_share", "surplus_lost",
    "buffer", "boost", "one_phase", "three_phases",
    "battery_shaves", "battery_covers", "battery_stores", "battery_refills", "battery_plan", "battery_rests",
    "battery_locked", "battery_reserve", "battery_lost",
    "feed_in", "feed_in_free", "feed_in_lost", "price_negative",
    "import_limit", "steuve_limit", "steuve_direct", "load_surplus", "load_free",
    "ordered_limit", "ordered_maximum", "ordered_pause",
]  # fmt: skip

_NOTHING: Mapping[str, int] = {}


class Reason(msgspec.Struct, frozen=True):
    """`subject` is steered so by `rule`, on the word of `source`; `figures` are what it was reckoned from."""

    subject: str
    rule: Rule
    source: str
    figures: Mapping[str, int] = _NOTHING

    @property
    def words(self) -> str:
        """A sentence in plain English."""
        figures, pattern = self.figures, WORDS[self.rule]
        surplus = figures.get("surplus_mw", 0)
        if surplus < 0 and self.rule in WITHOUT_SURPLUS:
            figures, pattern = {**figures, "drawn_mw": -surplus}, WITHOUT_SURPLUS[self.rule]
        return f"{self.subject}: " + pattern.format_map(_Figures(figures, self.source))


class _Figures(dict[str, str]):
    """The figures as people write them: kW for mW, s for ms, % for per mille."""

    def __init__(self, figures: Mapping[str, int], source: str) -> None:
        super().__init__({name: _spoken(name, value) for name, value in figures.items()}, source=source)

    def __missing__(self, key: str) -> str:
        return "?"


def _spoken(name: str, value: int) -> str:
    for ending, per, unit, digits in _UNITS:
        if name.endswith(ending):
            whole, rest = divmod(abs(value) * 10**digits // per, 10**digits)
            sign = "-" if value < 0 and (whole or rest) else ""
            return f"{sign}{whole}{f'.{rest:0{digits}}' if digits else ''} {unit}"
    return str(value)


_UNITS = (
    ("_mw", 1_000_000, "kW", 2),
    ("_ma", 1_000, "A", 1),
    ("_ms", 1_000, "s", 0),
    ("_wh", 1_000, "kWh", 2),
    ("_permille", 10, "%", 1),
    ("_micro", 1_000_000, "per kWh", 4),
)

WORDS: Mapping[Rule, str] = {
    "window": "{limit_mw} for the rest of the demand window ({source}: target {target_mw}, used {energy_wh}, "
    "{left_ms} left)",
    "window_lost": "{limit_mw} for the rest of the demand window ({source}: target {target_mw}); its meter is lost and "
    "the worst is assumed, {energy_wh} so far",
    "window_hold": "{limit_mw} until the demand window ends in {left_ms}: nothing told now would have an effect in it "
    "({source})",
    "contracted": "{limit_mw} have been contracted ({source})",
    "scheduled": "limited by the schedule of {source}",
    "price_cheap": "{price_micro} is not above the limit of {limit_micro}, so it charges ({source})",
    "price_wait": "{price_micro} is above the limit of {limit_micro} ({source})",
    "cheapest_now": "this is one of the cheapest hours until departure ({source}, {price_micro}, {needs_ms} needed)",
    "cheapest_wait": "there are cheaper hours until departure ({source}, {price_micro} now, {needs_ms} needed)",
    "plan": "the plan gives it {limit_mw} now",
    "mode_off": "it is switched off",
    "surplus_on": "the surplus of {surplus_mw} carries its minimum of {minimum_mw}",
    "surplus_wait": "the surplus of {surplus_mw} has to carry its minimum of {minimum_mw} for {wait_ms} more",
    "surplus_off_soon": "the surplus of {surplus_mw} no longer carries the minimum of {minimum_mw}; it pauses in "
    "{wait_ms}",
    "surplus_off": "the surplus of {surplus_mw} does not carry its minimum of {minimum_mw}",
    "surplus_share": "{limit_mw} of surplus are shared by the cars beyond what they are guaranteed (measured "
    "{surplus_mw})",
    "surplus_lost": "the surplus is not known: {source} is lost",
    "buffer": "the battery at {soc_permille} keeps it going",
    "boost": "the battery at {soc_permille} adds {limit_mw}",
    "one_phase": "the surplus of {surplus_mw} is too little for three phases",
    "three_phases": "the surplus of {surplus_mw} is enough for three phases",
    "battery_shaves": "gives {power_mw} so that {source} stays within {limit_mw}",
    "battery_covers": "gives {power_mw} that would be imported",
    "battery_stores": "takes {power_mw} that would be exported",
    "battery_refills": "takes {power_mw} to refill its reserve",
    "battery_plan": "follows the plan with {power_mw}",
    "battery_rests": "has nothing to do",
    "battery_locked": "gives nothing to cars that charge at full power ({power_mw})",
    "battery_reserve": "keeps its reserve of {reserve_permille} (at {soc_permille})",
    "battery_lost": "has not been heard of, and is not counted on",
    "feed_in": "held at {limit_mw} so that no more than {export_mw} is exported ({source})",
    "feed_in_free": "may give all it can",
    "feed_in_lost": "held at {limit_mw}: the meter of {source} is lost",
    "price_negative": "held at {limit_mw}: exporting costs money ({price_micro})",
    "import_limit": "{limit_mw} by order of {source}",
    "steuve_limit": "{limit_mw} for all controllable devices by order of {source} (legal minimum {floor_mw}, own "
    "surplus {surplus_mw} on top)",
    "steuve_direct": "{limit_mw} by order of {source}",
    "load_surplus": "{limit_mw} of surplus are left for it",
    "load_free": "may take what it needs",
    "ordered_limit": "limited by order of {source}",
    "ordered_maximum": "may take less by order of {source}",
    "ordered_pause": "paused by order of {source}",
}

WITHOUT_SURPLUS: Mapping[Rule, str] = {
    "surplus_on": "it has its minimum of {minimum_mw} although there is no surplus ({drawn_mw} are drawn from grid and "
    "batteries without it)",
    "surplus_off_soon": "there is no surplus any more ({drawn_mw} are drawn from grid and batteries); it pauses "
    "in {wait_ms}",
    "surplus_off": "there is no surplus ({drawn_mw} are drawn from grid and batteries)",
    "surplus_share": "there is no surplus to share ({drawn_mw} are drawn from grid and batteries)",
    "one_phase": "there is no surplus for three phases ({drawn_mw} are drawn from grid and batteries)",
}
"""The same where the surplus is negative: what the site draws before any car that follows the sun."""

"""The tariffs that a station holds: default ones of its EVSEs, and those of drivers (I07 to I11; 2.1).

Default tariffs are stored and survive a restart. A driver's is held from the moment when the CSMS names it until the
wait for the cable is over or the session has ended; it is kept beside its token in the authorization cache, so that one
who is let in by that pays by it too (I08.FR.05).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from pilotwire.domain.tariffs import checking, choice, model
from pilotwire.domain.tariffs.model import Tariff, Text

from .parts import Part

if TYPE_CHECKING:
    from .evse import Evse
    from .program import Station
    from .sessions import Session

_MOST_TEXTS = 100
_DEFAULTS, _DRIVERS, _CACHED = "tariffs.default", "tariffs.driver", "tariffs.cached"


class Answer(NamedTuple):
    """A status, and why."""

    status: str
    code: str = ""
    words: str = ""


class Assignment(NamedTuple):
    """TariffAssignmentType."""

    tariff: Tariff
    kind: str
    evses: list[int]
    tokens: list[str]


ACCEPTED = Answer("Accepted")


class Tariffs(Part):
    """See the module."""

    __slots__ = ("_cached", "_defaults", "_drivers", "_refused", "_texts")

    def __init__(self, station: Station) -> None:
        super().__init__(station)
        self._defaults: dict[int, list[Tariff]] = {}
        """By EVSE, in the order in which they were installed."""
        self._drivers: dict[str, Tariff] = {}
        """By token."""
        self._cached: dict[str, Tariff] = {}
        """By token (casefold) that the authorization cache holds."""
        self._refused: set[str] = set()
        """Tokens (casefold) whose tariff could not be followed: the CSMS is asked about them every time."""
        self._texts: dict[str, tuple[Text, ...]] = {}
        """What the CSMS lets a driver read, by token: California's messages in 1.6, personalMessage in 2.x (I01, I06).
        The first one is in the default language."""

    def restore(self, stored: Mapping[str, bytes]) -> None:
        self._defaults = msgspec.json.decode(stored.get(_DEFAULTS, b"{}"), type=dict[int, list[Tariff]])
        self._drivers = msgspec.json.decode(stored.get(_DRIVERS, b"{}"), type=dict[str, Tariff])
        self._cached = msgspec.json.decode(stored.get(_CACHED, b"{}"), type=dict[str, Tariff])

    @property
    def enabled(self) -> bool:
        """The station calculates cost by tariffs that it is given."""
        settings = self._station.settings
        calculates = settings.flag("tariff_enabled") and settings.flag("cost_enabled")
        return calculates and self._station.config.version == "2.1"

    # ── what the CSMS wants ──────────────────────────────────────────────────────────────────────────────────────

    def objection(self, tariff: Tariff) -> Answer | None:
        """What the station cannot do with a tariff (I07.FR.02, .03, .05)."""
        settings = self._station.settings
        if checking.elements(tariff) > settings.number("tariff_elements"):
            return Answer("TooManyElements", "TooManyElements", f"at most {settings.text('tariff_elements')} prices")
        if checking.conditional(tariff) and not settings.flag("tariff_conditions"):
            return Answer("ConditionNotSupported", "UnsupportedParam", "conditions are not supported")
        if checking.by_current(tariff):
            return Answer("ConditionNotSupported", "UnsupportedParam", "prices by current are not supported")
        faults = checking.faults(tariff)
        if faults:
            where, what = faults[0]
            return Answer("Rejected", "InvalidValue", f"{where} {what}")
        return None

    def install(self, evse: int, tariff: Tariff) -> Answer:
        """SetDefaultTariff, 0 for every EVSE."""
        targets = [one.id for one in self._station.evses if evse in (0, one.id)]
        if not targets:
            return Answer("Rejected", "UnknownEvse", f"there is no EVSE {evse}")
        objection = self.objection(tariff)
        if objection is not None:
            return objection
        if tariff.tariff_id in self.ids():
            return Answer("DuplicateTariffId", "DuplicateTariffId", f"tariff {tariff.tariff_id} is there already")
        now = self._station.clock.now()
        for target in targets:
            self._defaults[target] = choice.with_one_more(self._defaults.get(target, ()), tariff, now)
        self._save()
        return ACCEPTED

    def ids(self) -> set[str]:
        """Of all that are there."""
        held = {tariff.tariff_id for tariffs in self._defaults.values() for tariff in tariffs}
        return held | {tariff.tariff_id for tariff in self._drivers.values()}

    def assignments(self, evse: int) -> list[Assignment]:
        """GetTariffs: what is there, at one EVSE or (0) at all."""
        self._tidy()
        found: dict[str, Assignment] = {}
        for number, tariffs in sorted(self._defaults.items()):
            for tariff in tariffs:
                if evse in (0, number):
                    row = found.setdefault(tariff.tariff_id, Assignment(tariff, "DefaultTariff", [], []))
                    row.evses.append(number)
        for token, tariff in sorted(self._drivers.items()):
            places = self._places(token)
            if evse and evse not in places:
                continue
            row = found.setdefault(f"driver {tariff.tariff_id}", Assignment(tariff, "DriverTariff", [], []))
            row.tokens.append(token)
            row.evses.extend(place for place in places if place not in row.evses)
        for place, token, tariff in self._station.costs.changed_ones():
            if evse in (0, place):
                row = found.setdefault(f"driver {tariff.tariff_id}", Assignment(tariff, "DriverTariff", [], []))
                row.tokens.extend([token] if token and token not in row.tokens else ())
                row.evses.extend([place] if place not in row.evses else ())
        return list(found.values())

    def clear(self, ids: list[str] | None, evse: int | None) -> list[str]:
        """ClearTariffs: the ids that were cleared. What a session uses goes on there (I10.FR.07)."""
        cleared: list[str] = []
        for number, tariffs in sorted(self._defaults.items()):
            if evse and evse != number:
                continue
            for tariff in list(tariffs):
                if ids is None or tariff.tariff_id in ids:
                    tariffs.remove(tariff)
                    if tariff.tariff_id not in cleared:
                        cleared.append(tariff.tariff_id)
        if cleared:
            self._save()
        return cleared

    # ── drivers ──────────────────────────────────────────────────────────────────────────────────────────────────

    def named(self, token: str, given: Any) -> bool:
        """The CSMS has accepted `token`, with a tariff (TariffType) or None. False: it may not charge
        (HandleFailedTariff)."""
        if not self.enabled:
            return True
        settings = self._station.settings
        tariff = None if given is None else model.decode(model.encode(given))
        if tariff is None:
            self._cached.pop(token.casefold(), None)
            self._refused.discard(token.casefold())
            if self._drivers.pop(token, None) is not None:
                self._save()
            return True
        tariff = msgspec.structs.replace(tariff, valid_from=None)  # I08.FR.10
        objection = self.objection(tariff)
        self._station.costs.problem("" if objection is None else objection.code)
        if objection is not None:
            if len(self._refused) >= _MOST_TEXTS:
                self._refused.clear()
            self._refused.add(token.casefold())
            self._cached.pop(token.casefold(), None)
            if self._drivers.pop(token, None) is not None:
                self._save()
            if settings.text("tariff_failed") == "CentralCost":
                self._station.costs.leave_to_the_csms(token)
            return settings.text("tariff_failed") != "Deauthorize"
        self._refused.discard(token.casefold())
        self._drivers[token] = self._cached[token.casefold()] = tariff
        self._save()
        return True

    def asks(self, token: str) -> bool:
        """Whether the cache must not let a token in by itself: nobody knows by which tariff."""
        return token.casefold() in self._refused

    def remembered(self, token: str) -> None:
        """`token` is let in by what the station knows itself: by the tariff that came with that (I08.FR.05)."""
        tariff = self._cached.get(token.casefold())
        if self.enabled and tariff is not None and self._in_cache(token):
            self._drivers[token] = tariff
            self._save()

    def unused(self, token: str) -> None:
        """Nobody plugged in for that token, or it was not let in after all (I08.FR.07)."""
        if token in self._drivers and not self._places(token) and token not in self._awaited():
            del self._drivers[token]
            self._save()

    def forget_token(self, token: str) -> None:
        """N10.FR.03: nothing is kept of it."""
        self._texts.pop(token, None)
        self._cached.pop(token.casefold(), None)
        self._drivers.pop(token, None)
        self._save()

    def session_ended(self, session: Session) -> None:
        self.unused(session.token)

    def of(self, evse: Evse, session: Session) -> Tariff | None:
        """The tariff of a session that begins: its driver's, else the EVSE's default one."""
        if not self.enabled:
            return None
        driver = self._drivers.get(session.token) if session.token else None
        return driver or self.default(evse.id)

    def default(self, evse: int) -> Tariff | None:
        """The default tariff of an EVSE now."""
        return choice.current(self._defaults.get(evse, ()), self._station.clock.now())

    def show(self, token: str, *texts: Text) -> None:
        """A driver's price, told by the CSMS; the first text is in the default language."""
        self._texts.pop(token, None)
        while len(self._texts) >= _MOST_TEXTS:
            del self._texts[next(iter(self._texts))]
        self._texts[token] = texts

    def personal(self, token: str, message: Any, more: Any = None) -> None:
        """2.x: personalMessage of a token, or updatedPersonalMessage, and those in other languages (2.1)."""
        if message is not None:
            self.show(
                token,
                *(Text(format=m.format, content=m.content, language=m.language) for m in (message, *(more or ()))),
            )

    def shown(self, evse: int, language: str = "") -> str:
        """What is shown of the price at an EVSE (I01, I04, I06, I07.FR.14): to a driver who is let in their own."""
        station = self._station
        place = station.evses[evse - 1]
        token = place.session.token if place.session is not None else place.pending.token if place.pending else ""
        if token in self._texts:
            return model.chosen(self._texts[token], language)
        if self.enabled:
            tariff = station.costs.tariff(place) or self._drivers.get(token) or self.default(evse)
            if tariff is not None:
                return model.described(tariff, language)
        settings = station.settings
        offline = "" if station.online or station.config.version != "2.1" else settings.text("offline_tariff_fallback")
        return offline or settings.text("tariff_fallback")

    # ── inner ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _places(self, token: str) -> list[int]:
        """The EVSEs where a token's session runs."""
        return [e.id for e in self._station.evses if e.session is not None and e.session.token == token]

    def _tidy(self) -> None:
        """Without what has been replaced meanwhile, and without drivers who never came (I08.FR.07)."""
        now = self._station.clock.now()
        self._defaults = {number: left for number, rows in self._defaults.items() if (left := choice.kept(rows, now))}
        waiting = self._awaited()
        self._drivers = {
            token: tariff for token, tariff in self._drivers.items() if token in waiting or self._places(token)
        }
        self._save()

    def _awaited(self) -> set[str]:
        """The tokens that are let in and whose cable is awaited."""
        return {evse.pending.token for evse in self._station.evses if evse.pending is not None}

    def _in_cache(self, token: str) -> bool:
        cached, listed = self._station.authorizer.entries_of(token, self._station.clock.now())
        return cached is not None and listed is None and self._station.settings.flag("cache_enabled")

    def _save(self) -> None:
        self._cached = {token: tariff for token, tariff in self._cached.items() if self._in_cache(token)}
        self._station.store(
            {
                _CACHED: model.encode(self._cached) if self._cached else None,
                _DEFAULTS: model.encode(self._defaults) if self._defaults else None,
                _DRIVERS: model.encode(self._drivers) if self._drivers else None,
            }
        )

"""The cases: read from TOML, checked, their states written out.

Ids: a case of the standard's test document for 2.0.1 keeps its id (TC_B_01_CSMS) there; the same script played in 2.1
is ours, and so is its id (PW21_B_01_CSMS). Cases of our own are PW_, with a version where they have only one.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from pilotwire.core.errors import ConfigError
from pilotwire.protocols.ocpp import version as ocpp

from .case import PROFILES, VERBS, Case, File, Script, State, Step

FOLDER = Path(__file__).parent / "cases"
VERSIONS = ("1.6", "2.0.1", "2.1")


def files(folder: Path = FOLDER) -> Iterator[tuple[Path, File]]:
    """Every file of cases. Raises ConfigError with the file and the place in it."""
    for path in sorted(folder.glob("*.toml")):
        try:
            yield path, msgspec.convert(tomllib.loads(path.read_text()), File)
        except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
            raise ConfigError(f"{path.name}: {error}") from error


def scripts(side: str, version: str, folder: Path = FOLDER) -> list[Script]:
    """The cases for a system under test, in the order of the files. Raises ConfigError where one is no case."""
    read = [(path, file) for path, file in files(folder) if file.side == side]
    states: dict[str, dict[str, State]] = {each: {} for each in VERSIONS}
    for _, file in read:
        for each in file.versions:
            states[each].update(file.state)
    found: list[Script] = []
    for path, file in read:
        for raw in file.case:
            case = _case(raw, file, path)
            if version not in case.versions:
                continue
            try:
                found.append(_script(case, side, version, states[version]))
            except ConfigError as error:
                raise ConfigError(f"{path.name}, {case.id}: {error}") from error
    twice = {script.id for script in found if sum(script.id == other.id for other in found) > 1}
    if twice:
        raise ConfigError(f"two cases have the id {', '.join(sorted(twice))}")
    return found


def chosen(found: Iterable[Script], only: Iterable[str] = (), profiles: Iterable[str] = ()) -> list[Script]:
    """Those with one of these ids (or beginnings of ids) and of one of these profiles; all when none is named."""
    only, profiles = tuple(only), tuple(profiles)
    return [
        script
        for script in found
        if (not only or script.id.startswith(only)) and (not profiles or script.case.profile in profiles)
    ]


def id_in(case_id: str, version: str) -> str:
    """The id of a case as it is played in `version`."""
    return f"PW21_{case_id[3:]}" if case_id.startswith("TC_") and version == "2.1" else case_id


def _case(raw: Mapping[str, Any], file: File, path: Path) -> Case:
    try:
        case = msgspec.convert({"profile": file.profile, "versions": file.versions, **raw}, Case)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path.name}, {raw.get('id')}: {error}") from error
    if case.profile not in PROFILES:
        raise ConfigError(f"{path.name}, {case.id}: there is no profile {case.profile}")
    return case


def _script(case: Case, side: str, version: str, states: Mapping[str, State]) -> Script:
    reached: set[str] = set()
    steps: list[tuple[Step, str]] = []
    if case.start:
        _write_out([Step(use=case.start)], "", reached, steps, states)
    _write_out(case.steps, "", reached, steps, states)
    after: list[tuple[Step, str]] = []
    _write_out(case.after, "", set(reached), after, states)
    actions = ocpp.load(version).actions
    for step, _ in (*steps, *after):
        for verb in ("send", "drive", "expect"):
            name = getattr(step, verb)
            if name and not name.startswith("$") and name not in actions and not step.error:
                raise ConfigError(f"OCPP {version} has no action {name}")
    return Script(
        id=id_in(case.id, version), case=case, side=side, version=version, steps=tuple(steps), after=tuple(after)
    )


def _write_out(
    steps: Iterable[Step], origin: str, reached: set[str], out: list[tuple[Step, str]], states: Mapping[str, State]
) -> None:
    for step in steps:
        if sum(getattr(step, verb) not in ("", False, None) for verb in VERBS) != 1:
            raise ConfigError(f"a step has one verb: {msgspec.to_builtins(step)}")
        if (step.unless and step.unless in reached) or (step.only_if and step.only_if not in reached):
            continue
        if not step.use:
            out.append((step, origin))
            continue
        state = states.get(step.use)
        if state is None:
            raise ConfigError(f"there is no state {step.use}")
        for need in state.needs:
            if need not in reached:
                _write_out([Step(use=need)], "", reached, out, states)
        within = [
            msgspec.structs.replace(each, let={**step.let, **each.let}) if not number else each
            for number, each in enumerate(state.steps)
        ]
        _write_out(within, step.use, reached, out, states)
        reached |= {step.use, *state.sets}
        reached -= set(state.clears)

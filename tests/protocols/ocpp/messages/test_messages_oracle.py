"""Our decoder against two oracles: every message of every version, valid and mutated."""

from __future__ import annotations

from collections import Counter
from decimal import Context, Decimal
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

ORACLES = ("pypi", "npm")


def test_every_action_of_every_version_is_there() -> None:
    from pilotwire.protocols.ocpp import version

    counts = {name: len(version.load(name).actions) for name in ("1.6", "2.0.1", "2.1")}
    assert counts == {"1.6": 39, "2.0.1": 64, "2.1": 91}
    messages = Counter(
        name
        for name in counts
        for action in version.load(name).actions.values()
        for kind in (action.request_type, action.response_type)
        if kind is not None
    )
    assert messages == {"1.6": 78, "2.0.1": 128, "2.1": 181}


def same(left: Any, right: Any) -> bool:
    """Equal as JSON, number by number and digit by digit: 1.50 is not 1.5, and true is not 1."""
    if type(left) is not type(right):
        return {type(left), type(right)} == {int, Decimal} and left == right and Decimal(left) == right
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(same(*pair) for pair in zip(left, right, strict=True))
    if isinstance(left, Decimal):
        return left.as_tuple() == right.as_tuple()
    return left == right


def test_valid_messages_round_trip(case: Any, exact: Any, compact: Any) -> None:
    """Decode, encode: the same JSON, and both oracles call it valid before and after."""
    oracles = [case.oracle(name) for name in ORACLES]

    @settings(
        max_examples=25,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )
    @given(instance=case.instances())
    def check(instance: dict[str, Any]) -> None:
        data = compact(instance)
        for name, oracle in zip(ORACLES, oracles, strict=True):
            assert oracle(data) or (name == "npm" and differs_when_valid(case, instance, data)), (
                f"{name} refuses {data!r}"
            )
        decoded = case.decode(data)
        assert decoded.deviations == ()
        written = case.action.encode(decoded.message)
        assert same(exact(written), exact(data)), (data, written)
        assert case.decode(data, tolerant=True).message == decoded.message

    check()


def differs_when_valid(case: Any, instance: dict[str, Any], data: bytes) -> bool:
    """The two named differences (exi-response-length, hertz) that an instance made from PyPI's schemas can meet."""
    if repr(case) == "2.0.1-Get15118EVCertificateResponse":
        return len(instance["exiResponse"]) > 5600
    return repr(case) == "1.6-MeterValuesRequest" and b'"unit":"Hertz"' in data


def test_fullest_messages_round_trip(case: Any, exact: Any, compact: Any) -> None:
    """Every optional field of every type at once."""
    data = compact(case.fullest())
    assert all(case.oracle(name)(data) for name in ORACLES)
    assert same(exact(case.action.encode(case.decode(data).message)), exact(data))


def explains(difference: Any, case: Any, mutation: Any, oracle: str, ours: bool) -> bool:
    return (
        difference.oracle == oracle
        and case.version in difference.versions
        and mutation.kind in difference.kinds
        and difference.ours == ours
        and difference.where(case.message, mutation.path)
    )


def test_mutated_messages_get_the_oracles_verdict(case: Any, differences: Any) -> None:
    """Each required field dropped, each type wrong, each limit and one beyond, each enumeration value and one unknown,
    each list too short and too long, fields that are not there, dates and URIs of every kind."""
    oracles = {name: case.oracle(name) for name in ORACLES}
    unexplained: list[tuple[str, str, str, str]] = []
    verdicts: Counter[bool] = Counter()
    for mutation in case.mutations():
        ours = case.accepts(mutation.text)
        verdicts[ours] += 1
        for name, oracle in oracles.items():
            if oracle(mutation.text) != ours and not any(
                explains(difference, case, mutation, name, ours) for difference in differences
            ):
                unexplained.append((name, mutation.kind, mutation.path, f"we say {ours}"))
    assert not unexplained, unexplained[:20]
    assert verdicts[False] >= 1, "no mutation was refused: the mutations do not bite"


def test_no_difference_is_stale(all_cases: Any, differences: Any) -> None:
    """The list of differences is closed: every entry is met in every version that it names."""
    wanted = {(entry, name) for entry in differences for name in entry.versions}
    for case in all_cases:
        here = [entry for entry, name in wanted if name == case.version]
        kinds = {kind for entry in here for kind in entry.kinds}
        for mutation in case.mutations() if here else ():
            if mutation.kind not in kinds:
                continue
            ours = case.accepts(mutation.text)
            for entry in here:
                if explains(entry, case, mutation, entry.oracle, ours) and (
                    case.oracle(entry.oracle)(mutation.text) != ours
                ):
                    wanted.discard((entry, case.version))
        if not wanted:
            return
    assert not wanted, [(entry.name, entry.oracle, name) for entry, name in wanted]


@given(digits=st.integers(10**39, 10**40 - 1), places=st.integers(0, 45))
@settings(max_examples=200, deadline=None)
def test_numbers_keep_every_digit(digits: int, places: int) -> None:
    """Forty digits go through decode and encode unharmed: no float on the way."""
    from pilotwire.protocols.ocpp import version

    number = Decimal(digits).scaleb(-places, context=Context(prec=60))
    text = format(number, "f")
    action = version.load("2.0.1").actions["MeterValues"]
    data = (
        f'{{"evseId":1,"meterValue":[{{"timestamp":"2026-01-31T12:00:00Z","sampledValue":[{{"value":{text}}}]}}],'
        f'"customData":{{"vendorId":"v","n":{text}}}}}'
    ).encode()
    message: Any = action.decode_request(data).message
    assert message.meter_value[0].sampled_value[0].value == number
    assert action.encode(message).count(text.encode()) == 2

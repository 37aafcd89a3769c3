"""From set-points to what they load the grid with, and back: steps of current, of power, and levels of a load."""

from .model import Load, Member


def ratio(member: Member, voltage_mv: int) -> tuple[int, int]:
    """(over, under): a value in its unit loads each of its phases with ⌈value × over / under⌉ mA.

    mA are mA; mW at a vehicle are µW / mV of three phases, with losses.
    """
    if isinstance(member, Load):
        return 1_000, member.phases * voltage_mv
    if member.current == "DC":
        return 1_000_000, 3 * voltage_mv * member.efficiency
    return 1, 1


def infeed(member: Member, value: int, voltage_mv: int) -> int:
    """mA on each of its phases for a value in its unit, rounded up."""
    over, under = ratio(member, voltage_mv)
    return -(-value * over // under)


def value_below(member: Member, value: int) -> int:
    """The highest set-point that is no more than `value`; 0 if its minimum is."""
    if isinstance(member, Load) and member.levels:
        return max((level for level in member.levels if member.minimum <= level <= value), default=0)
    found = value // member.step * member.step
    return found if found >= max(member.minimum, 1) else 0


def thousandth(value: int) -> str:
    """mA in A, mW in W, mV in V: for people, without a fraction where there is none."""
    whole, rest = divmod(abs(value), 1_000)
    figure = f"{whole}.{rest:03}".rstrip("0") if rest else str(whole)
    return f"-{figure}" if value < 0 else figure

"""§ 14a EnWG: what the grid operator has to leave to controllable devices when he dims.

The minimum is 4.2 kW for one device. Where an energy management shares out for n devices, it is

    4.2 kW + (n - 1) * GZF * 4.2 kW

with the simultaneity factor GZF of BK6-22-300, Anlage 1. Confirmed (a vendor's page that quotes the order): 0.45 from
nine devices on. **Not confirmed against the order's own text**: the factors for two to eight devices, which fall from
0.80 to 0.50 by 0.05. Not modelled: heat pumps and cooling above 11 kW, whose minimum is a share of their power.
"""

DEVICE_MW = 4_200_000
_GZF = {2: 800, 3: 750, 4: 700, 5: 650, 6: 600, 7: 550, 8: 500}
_MANY = 450


def gzf_permille(devices: int) -> int:
    """The simultaneity factor for so many devices."""
    return 1_000 if devices < 2 else _GZF.get(devices, _MANY)


def minimum_mw(devices: int) -> int:
    """What so many devices behind one energy management may draw from the grid at least."""
    if devices <= 0:
        return 0
    return DEVICE_MW + (devices - 1) * gzf_permille(devices) * DEVICE_MW // 1_000

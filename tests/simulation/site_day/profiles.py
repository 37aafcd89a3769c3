"""Public profiles of one day, as JSON: run by the interpreter of `.venv/profiles` (`requirements/profiles.lock`).

    .venv/profiles/bin/python tests/simulation/site_day/profiles.py > profiles.json

A Wednesday in June 2016, by quarter from local midnight, each relative to its own maximum of the year:

* `offices`: commercial load "G1-A" of simbench (ODbL; read from the installed package, nothing of it is kept here)
* `shops`: BDEW's standard profile G25 by demandlib
* `clear_sky`: a south roof of 20 degrees in Kassel by pvlib (Ineichen, Hay-Davies), per W of peak, by minute
* `clouds`: simbench's "PV3" of the day against its own highest figure
* `housing`: simbench's household "H0-A", for flats beside the offices
"""

from __future__ import annotations

import csv
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

DAY = "2016-06-15"
_SIMBENCH_DAY = "15.06.2016"
_GRID = "1-complete_data-mixed-all-0-sw"


def _simbench(table: str, column: str) -> list[float]:
    """The day's quarters of one column, against the highest of the year; its time is taken as that of the clock."""
    package = importlib.util.find_spec("simbench")  # found, not imported: that would want pandapower
    if package is None or package.origin is None:
        raise SystemExit("simbench is not installed: see requirements/profiles.in")
    path = Path(package.origin).parent / "networks" / _GRID / f"{table}.csv"
    found: list[float] = []
    highest = 0.0
    with path.open(encoding="utf-8") as file:
        rows = csv.reader(file, delimiter=";")
        at = next(rows).index(column)
        for row in rows:
            value = float(row[at])
            highest = max(highest, value)
            if row[0].startswith(_SIMBENCH_DAY):
                found.append(value)
    return [round(value / highest, 5) for value in found]


def _shops() -> list[float]:
    import pandas as pd
    from demandlib.bdew import G25

    year = pd.date_range("2016-01-01", "2016-12-31 23:45", freq="15min", tz="Europe/Berlin")
    series: Any = G25(timeindex=year)
    day = series[series.index.strftime("%Y-%m-%d") == DAY]
    return [round(float(value) / float(series.max()), 5) for value in day]


def _clear_sky() -> list[float]:
    import pandas as pd
    import pvlib

    place = pvlib.location.Location(51.3, 9.5, tz="Europe/Berlin", altitude=170)
    minutes = pd.date_range(DAY, periods=1440, freq="1min", tz="Europe/Berlin")
    sky = place.get_clearsky(minutes, model="ineichen", linke_turbidity=3.5)
    sun = place.get_solarposition(minutes)
    roof = pvlib.irradiance.get_total_irradiance(
        20, 180, sun["apparent_zenith"], sun["azimuth"], sky["dni"], sky["ghi"], sky["dhi"],
        dni_extra=pvlib.irradiance.get_extra_radiation(minutes), model="haydavies",
    )  # fmt: skip
    cells = pvlib.temperature.faiman(roof["poa_global"], temp_air=22, wind_speed=2)
    power = pvlib.pvsystem.pvwatts_dc(roof["poa_global"], cells, 1.0, -0.0035)
    return [round(max(0.0, float(value)) if value == value else 0.0, 5) for value in power]


def main() -> None:
    found = {
        "day": DAY,
        "offices": _simbench("LoadProfile", "G1-A_pload"),
        "housing": _simbench("LoadProfile", "H0-A_pload"),
        "clouds": _simbench("RESProfile", "PV3"),
        "shops": _shops(),
        "clear_sky": _clear_sky(),
    }
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()

"""A charger without OCPP behind our station program: it appears to any CSMS as an OCPP station.

The station program is whole: its queue, profiles, local list and rules are the ones of every station. What is below
it, car, meter and lock, is here made of what a `site.ports.EvseDriver` says. Sessions are what the charger's energy
register says; what happened while this program did not run is told afterwards, see `absence`.
"""

"""Tariff and cost (functional block I): what a session costs, worked out by station and CSMS from the same code.

`model` has the tariff (2.1 TariffType, the form of every version here), `checking` what is wrong with one, `clock` the
local time of the EVSE, `conditions` when a price holds, `costing` the course of a session priced step by step,
`details` the cost and its rounding, `choice` which tariff an EVSE and a token have, `sessions` the facts of a session
as such a course.
"""

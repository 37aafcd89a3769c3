"""The conformance kit: plays test cases against any CSMS or charging station and says what was wrong, with the frames.

A case is data (`cases/*.toml`, loaded by `library`), a small script of steps (`case`). `player` plays it over a `wire`,
as the station against a CSMS or as the CSMS against a station. What the system under test has to be asked for goes
through a `drive`. Nothing here knows anything of our own CSMS or station.
"""

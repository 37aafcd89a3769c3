"""Smart charging: the one composite-schedule engine of all versions (functional block K; 1.6 3.13).

`model` has the form without a version, `curve` one profile over time, `combine` several at one moment, `engine` the
composite schedule and what holds now, `store` what is installed and by which rules, `compare` two schedules.
`pilotwire.translate.schedules` makes the form from what the versions send, and back.
"""

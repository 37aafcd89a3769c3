"""The plan of a running site: made beside the loop in a process of its own, each five minutes and when something
happens; the loop reads it and never waits for it.

    planner = Planner(config, text, data_folder, report)      # a `run.Part`
    await run_site(config, ..., parts=[planner, ...])
    planner.outlook()                                         # as people want to see it; None without a plan

In order: `learned` watches what flows and who comes; `problem` makes a record of all that a plan rests on; `worker` has
it planned by `child`, the only place that loads HiGHS and NumPy; `checked` looks at the answer before it becomes
`Loop.plan`; `kept` writes record and answer down, so that `pilotwire site plan` can make each plan again.
"""

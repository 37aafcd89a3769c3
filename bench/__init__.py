"""Benchmarks. `make bench` runs all of them and prints one table; each figure is a ratio, or per CPU-second of the
server, against a baseline that ran in the same run."""

"""The tests. This file makes them a package, which no dependency that ships a package of this name can hide."""

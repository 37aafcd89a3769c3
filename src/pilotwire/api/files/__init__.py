"""The built-in file server: firmware for stations to fetch, places where they leave their logs."""

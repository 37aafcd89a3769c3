"""Worlds of stations and vehicles, coupled in one process."""

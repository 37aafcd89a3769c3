"""Telecontrol at a site: inputs of devices, schedule files and registers become `steering.Control`, and are recorded.

`join.Telecontrol` is all of it; `config.TelecontrolConfig` says what there is.
"""

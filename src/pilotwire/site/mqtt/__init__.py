"""The site over MQTT: what is measured and decided for whoever listens, and commands that expire.

`topics` has the names and what is said under them, `commands` what may be asked, `homeassistant` how Home Assistant
finds it all, `sparkplug` the same for SCADA, `publisher` says what has changed, `part` joins them to a broker.
"""

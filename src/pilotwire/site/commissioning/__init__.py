"""Commissioning a site: scan, map, find the phases by pulses, check the fail-safes, run dry, go live.

`pilotwire.domain.commissioning` says what a wizard shows and takes, `wizard.Wizard` is one over real sockets.
"""

"""IEC 61851-1: the control pilot, the proximity contact and what they make of a plug, both ends.

duty        duty cycle of the pilot ⇄ current
levels      what an EVSE drives, what a vehicle shows, and what is measured between them
proximity   what cable, what latch
errors      the minimum required error codes: the vocabulary of `core.evse_link.Fault.code` for all links
connectors  types of connectors as data, NACS among them, and how a vehicle on each is spoken to
timers      the times of the standard
evse, ev    both ends: `PilotEvse` is an `EvseLink`, `PilotEv` an `EvLink`
high_level  the pilot beside a conversation by ISO 15118: 5 %, the fall back, the safety signal
"""

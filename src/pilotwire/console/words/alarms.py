"""Alarms and what is told of them, in plain words."""

from __future__ import annotations

from typing import Final

from .codes import Word

SEVERITIES: Final[dict[str, Word]] = {
    "critical": Word("Critical", "Act at once.", "bad"),
    "major": Word("Major", "Act today.", "bad"),
    "minor": Word("Minor", "Act when you can.", "warn"),
    "warning": Word("Warning", "Good to know.", "info"),
}
CLEARED: Final[dict[str, Word]] = {
    "over": Word("over"),
    "timed-out": Word("not seen any more"),
    "rule-gone": Word("its rule was switched off or changed"),
    "station-gone": Word("the station was removed"),
}
"""Why an alarm is over."""
MUTED: Final[dict[str, Word]] = {
    "alarm": Word("This alarm"),
    "rule": Word("Every alarm of the rule"),
    "station": Word("Every alarm of the station"),
    "site": Word("Every alarm of the site"),
}
"""What a mute is about."""
GAUGES: Final[dict[str, Word]] = {
    "certificate-overdue-days": Word("For how long a station's certificate should have been renewed, in days"),
    "clock-skew-s": Word("How wrong the station's clock is, in seconds"),
    "site-power-percent": Word("Power at a site, in percent of its limit"),
    "rollout-stopped": Word("Whether a roll-out has stopped itself"),
    "webhook-failing-min": Word("How long a webhook has taken nothing, in minutes"),
}
DELIVERIES: Final[dict[str, Word]] = {
    "pending": Word("waiting", "", "info"),
    "retrying": Word("trying again", "It was refused; the next ones are sent meanwhile.", "warn"),
    "delivered": Word("delivered", "", "good"),
    "sent": Word("sent", "", "good"),
    "failed": Word("given up", "", "bad"),
}
"""What became of a message to a webhook or to people."""
CHANNELS: Final[dict[str, Word]] = {"email": Word("E-mail"), "webhook": Word("Webhook")}
RULES: Final[dict[str, Word]] = {
    "boot-rejected": Word("Boot rejected", "A BootNotification was answered Rejected: the station may not work."),
    "certificate-ended": Word(
        "Certificate has ended",
        "The certificate of the station has ended: once it is disconnected it cannot come back.",
    ),
    "certificate-ending": Word(
        "Certificate about to end",
        "The certificate by which the station comes in ends within three weeks and has not been renewed.",
    ),
    "clock-skew": Word("Clock is wrong", "The station's clock differs from ours by more than a minute."),
    "command-failing": Word("Commands fail", "Three commands within fifteen minutes were refused or not answered."),
    "connector-error": Word("Error code reported", "A connector reports an error code, though it is not Faulted."),
    "connector-faulted": Word("Connector faulted", "A connector reports the status Faulted."),
    "device-alert": Word(
        "Device model alert",
        "The station reports an event of severity 0 (danger) to 4 (error) in its device model.",
    ),
    "firmware-failed": Word(
        "Firmware update failed", "A firmware update failed. Clears when one goes on, or after a day."
    ),
    "handshakes-refused": Word(
        "Connections refused repeatedly",
        "Five connection attempts under a known identity were refused within ten minutes.",
    ),
    "rollout-stopped": Word(
        "Roll-out stopped itself",
        "A roll-out went wrong at too many stations. Clears when somebody resumes or ends it.",
    ),
    "security-event": Word(
        "Security event",
        "The station reports a security event that may be an attack. Clears one hour after the last.",
    ),
    "session-stuck": Word(
        "Session without energy", "A session should be charging, and its meter has not moved for thirty minutes."
    ),
    "site-over-limit": Word(
        "Site power over its limit", "The sessions at a site have drawn more than its power limit for ten seconds."
    ),
    "station-offline": Word("Station offline", "The station has been without a connection for five minutes."),
    "webhook-failing": Word("Webhook failing", "A webhook has taken nothing for an hour."),
}
"""The built-in rules' own names and descriptions, word for word, so that other languages have them."""
CAUSES: Final[dict[str, Word]] = {
    "offline": Word("No connection", "", "warn"),
    "faulted": Word("Faulted", "", "bad"),
    "unavailable": Word("Out of service", "", "warn"),
}
"""What an outage began with."""
EXCUSES: Final[dict[str, Word]] = {
    "maintenance": Word("Maintenance that was announced"),
    "utility": Word("The grid failed"),
    "vandalism": Word("Vandalism"),
    "vehicle": Word("A car's fault"),
    "nature": Word("Storm, flood, fire"),
    "closed": Word("The place was closed"),
    "other": Word("Another reason"),
}
"""Why outages within a time do not count."""

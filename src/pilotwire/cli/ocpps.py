"""The certificates that stations are shown (`--ocpps`, `ocpp.tls` of a site), kept up to date while a server runs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pilotwire.cli import secret
from pilotwire.cli.https import Renewal
from pilotwire.core.errors import ConfigError, RemoteError

if TYPE_CHECKING:
    from pilotwire.crypto.shown import Shown
    from pilotwire.transport.ocpp.tls import ServerTls


class StationTls:
    """A `https.Renewable`."""

    def __init__(self, tls: ServerTls) -> None:
        """Raises ConfigError for certificates whose dates cannot be read."""
        self.tls = tls
        self._shown = self._read()

    @property
    def shown(self) -> Shown:
        """The one that ends first."""
        return self._shown[1]

    def look(self) -> bool:
        """See `Renewable`."""
        if not self.tls.look():
            return False
        self._shown = self._read()
        return True

    def trouble(self, now: datetime) -> str:
        """See `Renewable`."""
        from pilotwire.crypto.shown import dates

        return dates(*self._shown, now)

    def _read(self) -> tuple[Path, Shown]:
        from pilotwire.crypto.shown import shown

        try:
            found = [(chain, shown(chain.read_text("ascii"))) for chain in self.tls.chains]
        except (OSError, ValueError, RemoteError) as error:
            raise ConfigError(f"cannot read what stations are shown: {error}") from error
        return min(found, key=lambda each: each[1].until)


def renewal(
    tls: ServerTls,
    folder: Path,
    host: str,
    report: Callable[[str], None],
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Renewal:
    """What keeps it up to date; `folder`: of those that are our own. Raises ConfigError."""
    own = any(chain.parent == folder and secret.is_own(chain) for chain in tls.chains)
    remake = (lambda: secret.renew_certificates(folder, host, now())) if own else None
    return Renewal(StationTls(tls), lambda text: report(f"stations: {text}"), remake, now)

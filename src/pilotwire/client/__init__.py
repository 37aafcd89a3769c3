"""The Python client of the API: `Client` waits, `AsyncClient` is for asyncio. Both have every operation, typed.

    from pilotwire.client import Client, types

    with Client("http://127.0.0.1:8080", key="pw_…") as client:
        for station in client.iter_stations(connected=True):
            print(station.id, station.power_w)
        site = client.get_site("north-depot")
        client.change_site("north-depot", types.SiteChange(note="gate is open"), if_match=site)
        for event in client.events(last_id="0", types="session-started"):
            ...

A method is named like the operation of the OpenAPI document: `listStations` is `list_stations`. What comes in pages
has an `iter_…` besides, which goes on to the end; what is a file has `.read()`, `.save(path)` and pieces. `get_…` of
what can be edited returns `Kept(value, version)`; a change takes it as `if_match`.

A server whose certificate no public authority has signed is believed by `Client(url, key, ca="ca.pem")` or by
`Client(url, key, fingerprint="…")`: the SHA-256 that it tells at its start, of its certificate or its public key.

Retries are built in: connections that fail, 429 and 503, with back-off as the server asks; POSTs carry an
`Idempotency-Key`, so that one that is sent twice is done once. Errors: `ApiProblem`, `Unreachable`, `StrangeAnswer`.

Of Pilotwire itself only the types are imported, no server.
"""

from pilotwire.api import types

from ._async_operations import AsyncOperations
from ._sync_operations import SyncOperations
from .errors import ApiProblem, FieldError, StrangeAnswer, Unreachable
from .request import Kept
from .retry import Retry
from .sse import Lagged


class Client(SyncOperations):
    """Waits for each answer. Safe to share among threads. Close it, or use it with `with`."""


class AsyncClient(AsyncOperations):
    """For asyncio. Close it with `await client.aclose()`, or use it with `async with`."""


__all__ = [
    "ApiProblem",
    "AsyncClient",
    "Client",
    "FieldError",
    "Kept",
    "Lagged",
    "Retry",
    "StrangeAnswer",
    "Unreachable",
    "types",
]

"""The least that litestar on uvicorn can do: one handler that answers bytes of a given size.

    python -m bench.baseline_api PORT SIZE

No login, no limit, no list: what a measured request would cost if nothing had to be found out for it.
"""

from __future__ import annotations

import sys

import uvicorn
from litestar import Litestar, Response, get


def main(port: int, size: int) -> None:
    body = b'{"items":["' + b"x" * max(0, size - 25) + b'"],"next":null}'

    @get("/api/v1/stations")
    async def stations() -> Response[bytes]:
        return Response(body, media_type="application/json")

    app = Litestar(route_handlers=[stations], openapi_config=None, logging_config=None)
    uvicorn.run(app, host="127.0.0.1", port=port, access_log=False, log_level="warning", loop="uvloop")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))

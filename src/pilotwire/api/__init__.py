"""The public REST API, server-sent events and metrics.

`create_app(ApiContext(...))` is the ASGI application, `ApiServer(app)` runs it in the current loop.
"""

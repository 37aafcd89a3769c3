"""The web console: pages rendered on the server, moved by server-sent events. It uses only what the API offers.

`create_app(context)` is the API and the console as one application.
"""

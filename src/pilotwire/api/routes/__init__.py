"""The handlers, one module per kind of thing. Each only reads the request and calls one function."""

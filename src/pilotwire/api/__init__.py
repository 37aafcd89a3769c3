"""The public REST API, server-sent events and metrics."""

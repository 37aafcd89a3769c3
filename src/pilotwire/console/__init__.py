"""The web console. It uses nothing that the public API does not offer."""

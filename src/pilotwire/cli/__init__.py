"""The pilotwire command: the composition root."""

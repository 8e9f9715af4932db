"""Runs the ``openai`` package's own tests against a live gateway, whose records they expect."""

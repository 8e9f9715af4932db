"""Adapters as things that come, go and are taken along: import, export, removal of files."""

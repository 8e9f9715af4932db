"""Holds our wire types to those of the ``openai`` package, field by field."""

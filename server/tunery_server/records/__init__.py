"""The record: SQL tables, and the frozen rows that the rest of the server passes around.

SQL is what survives. Whatever Redis holds can be rebuilt from here. Every query on an object that
has an owner takes the owner's ``tenant_id``, so that another tenant's object is an absent one.
"""

"""Tenants, their accounts and keys, for administrators."""

"""Uploaded files: their bytes on disk, and the check of a dataset line by line."""

"""Wire types, one file per resource. Requests are strict; answers always fill every field."""

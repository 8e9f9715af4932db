"""Which job runs next, and who holds it.

Redis keeps the order and the leases. All of it can be rebuilt from the record, which a reconciler
does (``worker/reconciler.py``), so losing Redis delays jobs and loses none.
"""

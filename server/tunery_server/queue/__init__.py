"""Which job runs next, and who holds it.

Redis keeps the order and the leases. All of it can be rebuilt from the record, which a reconciler
does (``worker/reconciler.py``), so losing Redis delays jobs and loses none.

Tenants take turns by weighted fair queueing: each has a virtual time, which grows by what its jobs
cost (seconds of a device) over its weight, and the tenant with the least of it is next. One that
was idle begins at the present virtual time (start-time fair queueing; Goyal, Vin and Cheng, 1996).
Within a tenant priority counts, then age; a job that has waited for too long comes before both.
"""

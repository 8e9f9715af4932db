"""``tunery doctor``: looks at an installation, changes nothing, and says what to change.

A check is a generator of :class:`Finding`, one for each line that is told. ``examination`` lists
the checks and runs them side by side, each bounded in time. docs/doctor.md tells each of them.
"""

"""HTTP in, HTTP out. No logic: routes parse the wire, call a service, and shape the answer.

``composition.py`` composes everything and is the only module here that names concrete classes.
"""

"""Batches: many inference requests in one file, run while nobody else wants the engine.

``service.py`` carries out a client's wishes; ``runner.py`` claims batches under a lease and
``attempt.py`` takes one through its states. What answers a line is handed in by the gateway, which
owns the wire types and the error bodies.
"""

"""The trainer: ``python -m tunery_adapters.training <spec.json>`` runs one fine-tuning job.

It is a process of its own, the only place that loads torch, and it is never imported by a server.
What it is asked is a :class:`tunery_adapters.spec.TrainingSpec`; what it says is
:mod:`tunery_adapters.reports`, JSON lines on standard output; its log goes to standard error.
"""

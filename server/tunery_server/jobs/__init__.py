"""Fine-tuning jobs as data: what a client may ask for, which changes of state are legal, and the
service that carries out a client's wishes. Running a job is the worker's business.
"""

"""What is claimed of Tunery's speed, measured: ``python -m benchmarks`` (``make bench``)."""

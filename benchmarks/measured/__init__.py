"""One file for each benchmark; ``BENCHMARK`` is what the runner takes from it."""

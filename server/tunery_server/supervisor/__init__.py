"""``tunery serve``: starts every process of a one-machine server, and keeps them running."""

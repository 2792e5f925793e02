"""From a step in JAX to a graph of matrix values."""

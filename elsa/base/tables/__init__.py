"""Text files as rows of numbers, without jax: a bad one is refused before that is imported."""

"""Helpers that every room uses; imports nothing else of elsa."""

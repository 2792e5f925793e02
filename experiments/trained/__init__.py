"""Experiments on trained models against closed forms."""

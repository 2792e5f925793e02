"""Experiments: one entry (run.py), one loop (engine.py) and one driver for each experiment."""

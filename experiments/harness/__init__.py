"""The framework of every experiment: command line, run folder, records, progress, sweeps."""

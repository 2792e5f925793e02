"""Sweeps as jobs: of Slurm, or processes of this machine."""

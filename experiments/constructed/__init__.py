"""Experiments on weights that are built: by hand or by the compiler."""

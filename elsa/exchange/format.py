"""Constants of the file format, shared by reading and writing."""

VERSION = 1  # of the format
KEY = "elsa"  # of the metadata's one entry
PARTS = ("prologue", "step", "epilogue")
LOAD = "load"  # the layer that moves inputs from the caller's places

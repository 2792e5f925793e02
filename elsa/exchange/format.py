"""The file format: what reading and writing share."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

VERSION = 2  # of the format that is written
UNCHECKED = 1  # the version before, whose files have no checksum
KEY = "elsa"  # of the metadata's one entry
CHECKSUM = "sha256"  # of the entry's checksum
PARTS = ("prologue", "step", "epilogue")
LOAD = "load"  # the layer that moves inputs from the caller's places
# The dtypes that a file can hold, as jax and as safetensors name them.
DTYPES = {"float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16"}


def checksum(about: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> str:
    """SHA-256 of what a file says and holds, as 64 hexadecimal digits.

    Of the metadata as JSON with sorted keys, without the checksum's own entry, then of every
    tensor in the order of names: [name, dtype, shape] as JSON, and its bytes.
    """
    said = {key: value for key, value in about.items() if key != CHECKSUM}
    digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode())
    for name in sorted(tensors):
        array = tensors[name]
        digest.update(json.dumps([name, array.dtype.name, list(array.shape)]).encode())
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()

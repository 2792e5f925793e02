"""From a file to a stack; everything in the file is checked before it is used."""

import os
from pathlib import Path

import numpy as np

from elsa.base import checks
from elsa.exchange.contents import Arrays, Contents, contents
from elsa.heads.head import HeadWeights
from elsa.nn import ELSA, LSA, BlockStack, Stack


def load(path: str | os.PathLike[str]) -> BlockStack | Stack:
    """The stack in a file that `export` wrote.

    Returns:
      A stack that is called as `stack(**blocks) -> dict`; where a stack without named blocks was
      exported, an `elsa.nn.Stack`, called with prompts.

    A file may come from anyone: it is data, no code runs from it, and a call of what it holds needs
    memory in proportion to the file and to what the call is given.

    Raises:
      FileNotFoundError, IsADirectoryError: where there is no file.
      PermissionError: where it may not be read.
      ValueError: for a file that is not a safetensors file, is cut short or damaged (its checksum
        is not that of its content), comes from elsewhere, has another version, lacks or
        contradicts something, or holds NaN; for float64 weights without jax's x64 switch.
    """
    checks.instance("load", str | os.PathLike, "a path", path=path)
    place = Path(path)
    held = contents(place)
    try:
        return _built(held)
    except (KeyError, OverflowError, TypeError, ValueError) as error:
        reason = error.args[0] if error.args else error
        raise ValueError(f"load: {place}: {reason}") from error


def _built(held: Contents) -> BlockStack | Stack:
    kind = checks.float_dtype("metadata", held.dtype)
    prologue, body, epilogue = ([_layer(arrays, kind) for arrays in part] for part in held.parts)
    stack = Stack(body, held.depth, tied=held.tied, prologue=prologue, epilogue=epilogue)
    stack.skip = held.skip  # a skip head is among the weights already
    return BlockStack(stack, name=held.name, **held.blocks) if held.blocks else stack


def _layer(arrays: Arrays, kind: np.dtype) -> LSA | ELSA:
    if "bq" in arrays:
        return ELSA.from_weights(HeadWeights(**arrays), dtype=kind)
    empty = np.zeros((*arrays["wq"].shape[:-2], 0, 0), kind)
    return LSA.from_weights(HeadWeights(**arrays, bq=empty, bk=empty, bv=empty), dtype=kind)

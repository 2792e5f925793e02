"""Exported stacks in PyTorch, with hook points under the names that TransformerLens uses.

    from elsa.exchange import torch as elsa_torch

    stack = elsa_torch.load("ridge.safetensors")
    out, cache = stack.run_with_cache(X=X, y=y, w=w)
    cache["blocks.0.attn.hook_attn_scores"]  # [batch, head, row, row]

It alone of the library imports torch.
"""

try:
    import torch as _torch  # noqa: F401
except ModuleNotFoundError as error:
    if error.name != "torch":
        raise
    raise ModuleNotFoundError(
        "elsa.exchange.torch needs PyTorch, which is not installed: pip install torch", name="torch"
    ) from error

from elsa.exchange.torch.cache import ActivationCache
from elsa.exchange.torch.hooks import HookPoint
from elsa.exchange.torch.stack import TorchStack, load

__all__ = ["ActivationCache", "HookPoint", "TorchStack", "load"]

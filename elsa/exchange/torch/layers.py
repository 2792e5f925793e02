"""Layers of linear attention as torch modules, every value on the way at a hook point."""

from collections.abc import Mapping

from jaxtyping import Float
from torch import Tensor, nn

from elsa.exchange.torch.hooks import HookPoint

_NAMES = {"wq": "W_Q", "wk": "W_K", "wv": "W_V", "bq": "b_Q", "bk": "b_K", "bv": "b_V"}


class Attention(nn.Module):
    """Sum over heads of (H Wq + Bq) (H Wk + Bk)^T (H Wv + Bv), without a softmax.

    There is no W_O, whose place Wv has: a head's output has the prompt's channels.

    Attributes:
      W_Q, W_K: [heads, m, p].  W_V: [heads, m, m].
      b_Q, b_K: [heads, n, p].  b_V: [heads, n, m]; None without biases.
      hook_q, hook_k: [batch, n, heads, p].  hook_v, hook_result: [batch, n, heads, m], of which
        the second is each head's output.
      hook_attn_scores: [batch, heads, n, n], queries along the rows.
    """

    def __init__(self, arrays: Mapping[str, nn.Parameter]) -> None:
        super().__init__()
        for field, name in _NAMES.items():
            self.register_parameter(name, arrays.get(field))
        self.hook_q, self.hook_k, self.hook_v = HookPoint(), HookPoint(), HookPoint()
        self.hook_attn_scores, self.hook_result = HookPoint(), HookPoint()

    def forward(self, h: Float[Tensor, "batch n m"]) -> Float[Tensor, "batch n m"]:
        """The heads' sum for a batch of prompts."""
        q = _seen(self.hook_q, _projected(h, self.W_Q, self.b_Q))
        k = _seen(self.hook_k, _projected(h, self.W_K, self.b_K))
        v = _seen(self.hook_v, _projected(h, self.W_V, self.b_V))
        n, (m, p) = h.shape[1], self.W_Q.shape[1:]
        if self.hook_attn_scores.is_watched or n * (p + m) < 2 * p * m:
            result = self.hook_attn_scores(q @ k.mT) @ v
        else:  # K^T V is smaller than the scores, which nobody asks for
            result = q @ (k.mT @ v)
        summed: Tensor = _seen(self.hook_result, result).sum(dim=1)
        return summed


class Block(nn.Module):
    """A layer and its skip.

    Args:
      arrays: of the layer's heads, by the names of the file.
      adds: whether H is added to the layer's output; else one of its heads returns H.

    Attributes:
      hook_resid_pre, hook_attn_out, hook_resid_post: [batch, n, m]; the prompt before, what the
        heads sum to, and the prompt after.
    """

    def __init__(self, arrays: Mapping[str, nn.Parameter], *, adds: bool) -> None:
        super().__init__()
        self.hook_resid_pre = HookPoint()
        self.attn = Attention(arrays)
        self.hook_attn_out, self.hook_resid_post = HookPoint(), HookPoint()
        self._adds = adds

    def forward(self, h: Float[Tensor, "batch n m"]) -> Float[Tensor, "batch n m"]:
        """The prompts after the layer."""
        before = self.hook_resid_pre(h)
        added = self.hook_attn_out(self.attn(before))
        after: Tensor = self.hook_resid_post(before + added if self._adds else added)
        return after


def _projected(h: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """H W + B of every head, [batch, heads, n, p]."""
    product = h[:, None] @ weight
    return product if bias is None else product + bias


def _seen(point: HookPoint, value: Tensor) -> Tensor:
    """[batch, heads, n, p] as a hook point has it, heads after rows, and back."""
    passed: Tensor = point(value.transpose(1, 2))
    return passed.transpose(1, 2)

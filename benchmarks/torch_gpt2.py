"""The training step of a peer: the GPT-2 of `elsa.models` in PyTorch, as one writes it there.

One product for query, key and value, `scaled_dot_product_attention` with its causal kernel, GELU by
tanh, fused Adam, fresh prompts at every step; the same sizes, tokens, initial weights and float32.
"""

import importlib
from collections.abc import Callable
from typing import Any

from benchmarks.torch_steps import fresh_prompts

_STANDARD_DEVIATION = 0.02


def steps(
    *,
    width: int,
    depth: int,
    num_heads: int,
    dim: int,
    context_length: int,
    batch: int,
    count: int,
    compiled: bool = False,
) -> Callable[[], Any]:
    """A function that takes `count` steps; PyTorch has to be installed.

    Args:
      width, depth, num_heads: of the model.
      dim, context_length, batch: of the prompts.
      count: steps of a call.
      compiled: whether `torch.compile` compiles the model, which takes a C++ compiler.
    """
    torch = importlib.import_module("torch")
    shape = {"width": width, "depth": depth, "num_heads": num_heads}
    model = decoder(torch, **shape, dim=dim, context_length=context_length)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    predict = torch.compile(model) if compiled else model

    def step() -> None:
        tokens, target = fresh_prompts(torch, batch, dim, context_length)
        loss = ((predict(tokens) - target) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def call() -> None:
        for _ in range(count):
            step()

    return call


def decoder(
    torch: Any, *, width: int, depth: int, num_heads: int, dim: int, context_length: int
) -> Any:
    """The model: prompts as tokens, [batch, n + 1, d + 1], to predictions, [batch]."""
    nn, functional = torch.nn, torch.nn.functional

    def linear(rows: int, columns: int, deviation: float = _STANDARD_DEVIATION) -> Any:
        layer = nn.Linear(rows, columns)
        nn.init.normal_(layer.weight, std=deviation)
        nn.init.zeros_(layer.bias)
        return layer

    class Layer(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            added = _STANDARD_DEVIATION * (2 * depth) ** -0.5
            self.attention_norm, self.mlp_norm = nn.LayerNorm(width), nn.LayerNorm(width)
            self.read, self.write = linear(width, 3 * width), linear(width, width, added)
            self.widen, self.narrow = linear(width, 4 * width), linear(4 * width, width, added)

        def forward(self, h: Any) -> Any:
            batch, tokens, _ = h.shape
            heads = self.read(self.attention_norm(h)).view(batch, tokens, 3, num_heads, -1)
            query, key, value = heads.permute(2, 0, 3, 1, 4)
            attended = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
            h = h + self.write(attended.transpose(1, 2).reshape(batch, tokens, width))
            wide = functional.gelu(self.widen(self.mlp_norm(h)), approximate="tanh")
            return h + self.narrow(wide)

    class Decoder(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.read_in = nn.Linear(dim + 1, width)
            places = _STANDARD_DEVIATION * torch.randn(context_length + 1, width)
            self.positions = nn.Parameter(places)
            self.layers = nn.ModuleList(Layer() for _ in range(depth))
            self.norm, self.read_out = nn.LayerNorm(width), nn.Linear(width, 1)

        def forward(self, tokens: Any) -> Any:
            h = self.read_in(tokens) + self.positions
            for layer in self.layers:
                h = layer(h)
            return self.read_out(self.norm(h[:, -1]))[:, 0]

    return Decoder()

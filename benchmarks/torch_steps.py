"""The training step of a peer: PyTorch, prompts as rows, scores of n x n.

Ahn et al. (arXiv:2306.00297) train so: Z <- Z + P Z M (Z^T Q Z) / n with tokens as rows here, Adam,
fresh prompts at every step. Models of a sweep are trained one after the other.
"""

import importlib
from collections.abc import Callable
from typing import Any


def steps(
    depth: int, batch: int, models: int, count: int, dim: int, context_length: int
) -> Callable[[], Any]:
    """A function that takes `count` steps of every model; PyTorch has to be installed."""
    torch = importlib.import_module("torch")
    every = [_model(torch, depth, batch, dim, context_length) for _ in range(models)]

    def call() -> None:
        for one in every:
            for _ in range(count):
                one()

    return call


def fresh_prompts(torch: Any, batch: int, dim: int, context_length: int) -> tuple[Any, Any]:
    """Tokens [batch, context_length + 1, dim + 1] of linear problems, each with the label of its
    query, which the tokens hide as 0."""
    weight = torch.randn(batch, dim, 1)
    x = torch.randn(batch, context_length + 1, dim)
    tokens = torch.cat([x, x @ weight], dim=2)
    target = tokens[:, -1, -1].clone()
    tokens[:, -1, -1] = 0.0
    return tokens, target


def _model(torch: Any, depth: int, batch: int, dim: int, context_length: int) -> Callable[[], None]:
    shape = (depth, dim + 1, dim + 1)
    p, q = (torch.nn.Parameter(0.1 * torch.randn(shape)) for _ in range(2))
    optimizer = torch.optim.Adam([p, q], lr=1e-3)
    mask = torch.ones(context_length + 1)
    mask[-1] = 0.0

    def step() -> None:
        z, target = fresh_prompts(torch, batch, dim, context_length)
        for layer in range(depth):
            scores = torch.einsum("bni,ij,bmj->bnm", z, q[layer], z) * mask
            z = z + torch.einsum("bnm,bmj,ij->bni", scores, z, p[layer]) / context_length
        loss = ((-z[:, -1, -1] - target) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step

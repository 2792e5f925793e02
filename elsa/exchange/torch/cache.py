"""The values of one call at hook points, by name or by what they are and their layer."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from elsa.base import checks


class ActivationCache(Mapping[str, Tensor]):
    """What `run_with_cache` kept, name -> value.

    `cache["blocks.2.hook_resid_post"]` is also `cache["resid_post", 2]`, and
    `cache["blocks.2.attn.hook_q"]` also `cache["q", 2]`; layers below 0 count from the last.
    """

    def __init__(self, values: Mapping[str, Tensor]) -> None:
        self._values = dict(values)

    def __getitem__(self, key: str | tuple[str, int]) -> Tensor:
        name = key if isinstance(key, str) else self._full(*key)
        checks.known_names("cache", "hook point", [name], self._values)
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"ActivationCache({list(self._values)})"

    @property
    def num_layers(self) -> int:
        """Layers of which anything was kept, counted from the first."""
        layers = [int(name.split(".")[1]) for name in self._values if name.startswith("blocks.")]
        return max(layers, default=-1) + 1

    def stack_activation(self, name: str) -> Tensor:
        """One kind of value of every layer, [layers, batch, ...].

        Args:
          name: as "resid_post", "q" or "attn_scores".

        Raises:
          KeyError: where a layer's was not kept.
          RuntimeError: where layers have values of different shapes, as by numbers of heads.
        """
        return torch.stack([self[name, layer] for layer in range(self.num_layers)])

    def remove_batch_dim(self) -> "ActivationCache":
        """The same without the first axis.

        Raises:
          ValueError: where that is longer than 1.
        """
        for name, value in self._values.items():
            if value.shape[0] != 1:
                raise ValueError(
                    f"cache: remove_batch_dim needs a batch of 1, got {value.shape[0]} at {name}"
                )
        return ActivationCache({name: value[0] for name, value in self._values.items()})

    def _full(self, name: str, layer: int) -> str:
        index = layer + self.num_layers if layer < 0 else layer
        inside = f"blocks.{index}.hook_{name}"
        return inside if inside in self._values else f"blocks.{index}.attn.hook_{name}"

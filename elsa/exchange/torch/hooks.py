"""Places in a module where values pass by under a name, to be looked at or replaced."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from torch import Tensor, nn

from elsa.base import checks
from elsa.exchange.torch.cache import ActivationCache

# What is called with a value and, as `hook`, its HookPoint; it returns another value, or None.
Hook = Callable[..., Tensor | None]
Names = str | Callable[[str], bool]  # one name, or which names


class HookPoint(nn.Module):
    """The identity on a value that has a name.

    Attributes:
      name: as `hook_dict` of the whole module has it, such as "blocks.0.hook_resid_pre".
    """

    def __init__(self) -> None:
        super().__init__()
        self.name = ""

    @property
    def is_watched(self) -> bool:
        """Whether any function sees the values."""
        return bool(self._forward_hooks)

    def add(self, function: Hook) -> Any:
        """Lets a function see every value, and replace it by what it returns, unless that is None.

        Returns:
          A handle, whose `remove()` ends it.

        Raises:
          ValueError: in the call, where what is returned has another shape.
        """

        def seen(_: nn.Module, __: Any, value: Tensor) -> Tensor | None:
            other = function(value, hook=self)
            if other is not None and other.shape != value.shape:
                raise ValueError(
                    f"hooks: the function at {self.name} must return shape {tuple(value.shape)} or "
                    f"None, got {tuple(other.shape)}"
                )
            return other

        return self.register_forward_hook(seen)

    def forward(self, value: Tensor) -> Tensor:
        """The value itself."""
        return value


class HookedModule(nn.Module):
    """Base class of a module with hook points, called as TransformerLens calls its models."""

    def name_hook_points(self) -> None:
        """Tells every hook point its name; once all are there."""
        for name, point in self.hook_dict.items():
            point.name = name

    @property
    def hook_dict(self) -> dict[str, HookPoint]:
        """Every hook point by its name, in the order in which values pass."""
        return {n: m for n, m in self.named_modules() if isinstance(m, HookPoint)}

    def add_hook(self, name: Names, function: Hook) -> list[Any]:
        """Lets a function see, and replace, the values at a point, or at all of certain names.

        Args:
          name: of a hook point, or a function of names to True or False.
          function: called as `function(value, hook=point)`.

        Returns:
          Handles, whose `remove()` ends it; `reset_hooks` ends all.

        Raises:
          KeyError: for a name that no point has, with the nearest.
        """
        points = self.hook_dict
        if isinstance(name, str):
            checks.known_names("add_hook", "hook point", [name], points)
            chosen = [points[name]]
        else:
            checks.instance("add_hook", Callable, "a name, or a function of names", name=name)
            chosen = [point for n, point in points.items() if name(n)]
        return [point.add(function) for point in chosen]

    def reset_hooks(self) -> None:
        """Ends all hooks."""
        for point in self.hook_dict.values():
            point._forward_hooks.clear()

    @contextlib.contextmanager
    def hooks(self, fwd_hooks: Iterable[tuple[Names, Hook]]) -> Iterator[None]:
        """Hooks for the calls within, each a name (or a function of names) and a function."""
        handles: list[Any] = []
        try:
            for name, function in fwd_hooks:
                handles += self.add_hook(name, function)
            yield
        finally:
            for handle in handles:
                handle.remove()

    def run_with_hooks(
        self, /, *prompt: Tensor, fwd_hooks: Iterable[tuple[Names, Hook]] = (), **blocks: Any
    ) -> Any:
        """A call with hooks for its time.

        Args:
          *prompt, **blocks: of the call.
          fwd_hooks: pairs as `hooks` takes them.

        Raises:
          KeyError, ValueError: as `add_hook` and the call.
        """
        with self.hooks(fwd_hooks):
            return self(*prompt, **blocks)

    def run_with_cache(
        self,
        /,
        *prompt: Tensor,
        names_filter: Names | Iterable[str] | None = None,
        remove_batch_dim: bool = False,
        **blocks: Any,
    ) -> tuple[Any, ActivationCache]:
        """A call, and the values at all hook points.

        Args:
          *prompt, **blocks: of the call.
          names_filter: the points to keep: a name, several, or a function of names; all where None.
          remove_batch_dim: leaves the values' first axis away, which is of length 1 where the call
            is for one task.

        Returns:
          What the call returns; the values by name, still part of torch's graph.

        Raises:
          KeyError, ValueError: as the call; for an unknown name; for a batch whose axis is not 1.
        """
        kept: dict[str, Tensor] = {}

        def keep(value: Tensor, hook: HookPoint) -> None:
            kept[hook.name] = value

        wanted: list[Names]
        if names_filter is None:
            wanted = [lambda _: True]
        elif isinstance(names_filter, str) or not isinstance(names_filter, Iterable):
            wanted = [names_filter]
        else:
            wanted = list(names_filter)
        out = self.run_with_hooks(*prompt, fwd_hooks=[(w, keep) for w in wanted], **blocks)
        cache = ActivationCache(kept)
        return out, cache.remove_batch_dim() if remove_batch_dim else cache

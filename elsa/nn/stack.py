"""A stack of attention layers: depth, tying, skip, and observers of the prompts between layers."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from elsa.base import checks
from elsa.heads.head import HeadWeights
from elsa.nn import gram_form
from elsa.nn.skip_head import with_skip_head

SKIPS = ("residual", "head")
Observer = Callable[[Array], Any]


class Stack(nnx.Module):
    """Layers with a skip, the middle ones repeated by one `jax.lax.scan`.

        H <- H + layer(H)    for the layers of prologue, then `depth` times `body`, then epilogue

    The program that jax traces does not grow with the depth.

    Args:
      body: the layers that are repeated, usually one; two for a step that takes two layers.
      depth: T, how often the body runs; 0 leaves prologue and epilogue.
      tied: True repeats one set of weights; False expects the body's parameters to carry a leading
        axis of length `depth`, as `Stack.untied` makes them.
      prologue, epilogue: layers that run once, before and after.
      skip: "residual" adds H to every layer's output; "head" gives every layer one more ELSA head
        that returns H (Hagiwara, arXiv:2503.23814, Property 3), and adds nothing.

    Raises:
      TypeError: for a depth that is not an integer. ValueError: for a depth below 0, an empty body,
        an unknown skip, a skip head for layers without biases, or untied parameters without axis.
    """

    def __init__(
        self,
        body: Sequence[nnx.Module],
        depth: int,
        *,
        tied: bool = True,
        prologue: Sequence[nnx.Module] = (),
        epilogue: Sequence[nnx.Module] = (),
        skip: str = "residual",
    ) -> None:
        checks.size("Stack", depth=(depth, 0))
        checks.one_of("Stack", "skip", skip, SKIPS)
        checks.boolean("Stack", tied=tied)
        for name, layers in {"body": body, "prologue": prologue, "epilogue": epilogue}.items():
            checks.instance("Stack", list | tuple | nnx.List, "a list of layers", **{name: layers})
            for layer in layers:
                checks.instance("Stack", nnx.Module, "layers, nnx modules", **{name: layer})
        if not body:
            raise ValueError("Stack: body must hold at least one layer, got none")
        if not tied:
            _check_untied(body, depth)
        with_skip = with_skip_head if skip == "head" else _unchanged
        self.prologue = nnx.List([with_skip(layer) for layer in prologue])
        self.body = nnx.List([with_skip(layer) for layer in body])
        self.epilogue = nnx.List([with_skip(layer) for layer in epilogue])
        self.depth, self.tied, self.skip = depth, tied, skip

    @classmethod
    def untied(
        cls,
        make_layer: Callable[[nnx.Rngs], nnx.Module],
        depth: int,
        *,
        rngs: nnx.Rngs,
        **options: Any,
    ) -> "Stack":
        """A stack of `depth` layers with weights of their own: `make_layer` called with fresh keys.

        Raises:
          ValueError: for depth below 1, or as the class does for the other options.
        """
        checks.size("Stack.untied", depth=(depth, 1))
        checks.instance("Stack.untied", Callable, "a function of rngs", make_layer=make_layer)
        checks.instance("Stack.untied", nnx.Rngs, "an nnx.Rngs, as nnx.Rngs(0)", rngs=rngs)
        layers = nnx.vmap(make_layer, in_axes=(0,), out_axes=0)(rngs.split(int(depth)))
        return cls([layers], depth, tied=False, **options)

    @property
    def num_layers(self) -> int:
        """Layers that run: prologue, depth times the body, epilogue."""
        return len(self.prologue) + self.depth * len(self.body) + len(self.epilogue)

    def __call__(
        self,
        h: Float[Array | np.ndarray, "*batch n m"],
        *,
        observe: Observer | None = None,
        form: str = "direct",
        roles: Float[Array, "n roles"] | None = None,
    ) -> Any:
        """The prompt after all layers, for one prompt or a batch.

        Args:
          h: [n, m] or [batch, n, m].
          observe: called with the input and with every layer's output; what it returns (an array
            or a tree of arrays) is stacked. `lambda h: h` traces every layer's prompt.
          form: "gram" runs LSA layers on H^T H at a cost of one pass over the rows, whatever the
            depth, equal to "direct" to rounding; "auto" takes it where it is possible and cheaper.
          roles: what the rows are, for layers whose biases belong to roles; for one prompt.

        Returns:
          The last prompt; with `observe`, the pair of it and the observations, whose leading axis
          has length num_layers + 1.

        Raises:
          TypeError: where the prompt's dtype is not the layers'.
          ValueError: where its shape is not; for an unknown form, or for "gram" where layers have
            biases, several precisions, or are observed.
        """
        prompt = self._checked(h)
        if self._runs_on_gram(form, prompt, observe):
            run = functools.partial(
                gram_form.run,
                self.prologue,
                self.body,
                self.epilogue,
                depth=self.depth,
                tied=self.tied,
            )
            return run(prompt) if prompt.ndim == 2 else jax.vmap(run)(prompt)
        watch: Observer = observe if observe is not None else _nothing
        start = watch(prompt)
        prompt, before = self._run(self.prologue, prompt, watch, roles)
        graph: Any
        graph, state = nnx.split(self.body)

        def period(carry: Array, own: Any) -> tuple[Array, Any]:
            layers = nnx.merge(graph, state if self.tied else own)
            carry, seen = self._run(layers, carry, watch, roles)
            return carry, _stacked(seen)

        prompt, during = jax.lax.scan(
            period, prompt, None if self.tied else state, length=self.depth
        )
        prompt, after = self._run(self.epilogue, prompt, watch, roles)
        if observe is None:
            return prompt
        flat = jax.tree.map(lambda a: a.reshape(a.shape[0] * a.shape[1], *a.shape[2:]), during)
        parts = [_stacked([start, *before]), flat, *([_stacked(after)] if after else [])]
        return prompt, jax.tree.map(lambda *pieces: jnp.concatenate(pieces), *parts)

    def ended(
        self, h: Float[Array, "*batch n m"], roles: Float[Array, "n roles"] | None = None
    ) -> Float[Array, "*batch n m"]:
        """What a prompt becomes by the epilogue alone."""
        prompt = self._checked(h)
        if prompt.ndim not in (2, 3):
            raise ValueError(
                f"Stack: h must have shape (n, m) or (batch, n, m), got {prompt.shape}"
            )
        return self._run(self.epilogue, prompt, _nothing, roles)[0]

    def layer(self, index: int) -> Any:
        """The layer that runs as number `index`, with the weights of its own step.

        Raises:
          TypeError: for anything but an integer. IndexError: outside 0 .. num_layers - 1.
        """
        checks.instance("Stack.layer", int | np.integer, "an integer", index=index)
        if isinstance(index, bool) or not 0 <= index < self.num_layers:
            raise IndexError(f"Stack.layer: index must be 0..{self.num_layers - 1}, got {index!r}")
        index = int(index)
        before, after = len(self.prologue), self.num_layers - len(self.epilogue)
        if index < before:
            return self.prologue[index]
        if index >= after:
            return self.epilogue[index - after]
        step, place = divmod(index - before, len(self.body))
        if self.tied:
            return self.body[place]
        graph: Any
        graph, state = nnx.split(self.body[place])
        return nnx.merge(graph, jax.tree.map(lambda array: array[step], state))

    def _runs_on_gram(self, form: str, prompt: Array, observe: Observer | None) -> bool:
        checks.one_of("Stack", "form", form, gram_form.FORMS)
        if form == "direct":
            return False
        layers = [*self.prologue, *self.body, *self.epilogue]
        reason = gram_form.obstacle(layers, self.skip)
        if observe is not None:
            reason = "every layer's prompt is observed"
        if reason:
            if form == "gram":
                raise ValueError(f"Stack: form='gram' is not possible: {reason}")
            return False
        _check_channels(layers[0], prompt)
        return form == "gram" or gram_form.is_cheaper(layers, self.num_layers, prompt.shape[-2])

    def _checked(self, h: Array | np.ndarray) -> Array:
        """The prompt, or a batch of prompts, in the layers' dtype."""
        checks.real("Stack", h=h)
        prompt, params = jnp.asarray(h), jax.tree.leaves(nnx.state(self.body, nnx.Param))
        if params and params[0].dtype != prompt.dtype:
            raise TypeError(
                f"Stack: the prompt h must have the layers' dtype {params[0].dtype}, "
                f"got {prompt.dtype}"
            )
        return prompt

    def _run(
        self,
        layers: Sequence[Callable[..., Array]],
        prompt: Array,
        watch: Observer,
        roles: Array | None,
    ) -> tuple[Array, list[Any]]:
        seen = []
        for layer in layers:
            added = layer(prompt) if roles is None else layer(prompt, roles)
            prompt = prompt + added if self.skip == "residual" else added
            seen.append(watch(prompt))
        return prompt, seen

    @property
    def weights(self) -> tuple[HeadWeights, ...]:
        """The layers' weights as stored: prologue, one body, epilogue, heads along the first axis.

        Untied bodies carry one more axis in front, of length depth.
        """
        return tuple(layer.weights for layer in (*self.prologue, *self.body, *self.epilogue))


def _check_channels(layer: Any, prompt: Array) -> None:
    channels = layer.wv.shape[-1]
    if prompt.ndim not in (2, 3) or prompt.shape[-1] != channels:
        raise ValueError(
            f"Stack: the prompt must have shape (n, {channels}) or (batch, n, {channels}), "
            f"got {prompt.shape}"
        )


def _check_untied(body: Sequence[nnx.Module], depth: int) -> None:
    for place, layer in enumerate(body):
        for path, value in nnx.to_flat_state(nnx.state(layer)):
            if value.shape[:1] != (depth,):
                raise ValueError(
                    f"Stack: tied=False needs parameters with a leading axis of depth={depth}, got "
                    f"{'.'.join(map(str, path))} of shape {value.shape} in layer {place} of the "
                    "body; Stack.untied makes them"
                )


def _unchanged(layer: Any) -> Any:
    return layer


def _nothing(_: Array) -> tuple[()]:
    return ()


def _stacked(trees: Sequence[Any]) -> Any:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)

"""Stacks of LSA and ELSA layers as trained models: pack a task's prompt, run, read the answer."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import ArrayLike, DTypeLike
from jaxtyping import Array, Float

from elsa.base import checks
from elsa.base.known_names import BIASES, INITS, LAYOUTS
from elsa.base.precision import EXACT, at_own_precision, known
from elsa.models import masking, stack_layers, starts
from elsa.models.boxed import boxed_format
from elsa.models.inputs import AnyPrompt, ByLayer, rows_of
from elsa.prompts import PackedPrompt, PromptFormat, named_format, packed
from elsa.prompts.layout import BlockLayout
from elsa.prompts.named import Boxes
from elsa.prompts.roles import Role, role_indicator
from elsa.tasks import Prompt


class StackModel(nnx.Module):
    """A stack of attention layers on a task's prompt, random, built by hand, or compiled.

        H_0 = packed(x, y, query_x);    H <- H + sum of heads(H)    num_layers times

    The answer is read from the block `prediction` of the last prompt, or is query_x w where the
    prompt holds w and no query. `prompts.packed` normalises by the examples that are there.

    Args:
      dim: d.
      context_length: n; others may be run where the layout and the biases admit it.
      depth: layers of a random stack; steps of one that is built or compiled.
      layout: how the prompt is written, as `prompts.named_format` says, or "custom".
      boxes: for "custom", block -> (row, col, height, width).
      num_heads: heads a layer of a random stack.
      key_size: p of a random stack; the number of channels where 0.
      tied: whether all steps share their weights.
      masked: of a random LSA: no row attends to the query's, which holds no example.
      biases: of ELSA: "role", a row for each role of a row (`prompts.row_roles`), or "position",
        one for each row, which fixes the context's length.
      init: "random"; "construction", ridge regression by weights written by hand; "compiled", by
        the compiler.
      algorithm: which construction or step; the first that the layout has where "".
      init_scale: standard deviation of a random stack's weights, in units of 1 / sqrt(m).
      noise: standard deviation of what is added to every weight of a stack that is not random.
      step_size: eta of gradient descent on the mean over the examples, and the start eta I of
        Newton-Schulz.
      lam: the regulariser, of the whole context's sum of squares, that the prompt tells; "stacked"
        and "transposed" have no place for it, and the construction there is least squares.
      dtype: of the parameters; jax's default floating dtype where None.
      precision: of the products of a call: "highest", "high" or "default".
      rngs: the stream `params` draws weights and noise.

    Raises:
      ValueError, TypeError: for a size below its least, an unknown name, or a combination that
        cannot be built, with those that can.
    """

    takes_gram = False
    weighs_rows = False
    traced = ("noise", "init_scale")  # numbers that may differ between the models of one program
    has_biases: ClassVar[bool]

    def __init__(
        self,
        dim: int,
        context_length: int,
        depth: int = 1,
        *,
        layout: str = "stacked",
        boxes: Boxes | None = None,
        num_heads: int = 1,
        key_size: int = 0,
        tied: bool = False,
        masked: bool = False,
        biases: str = "role",
        init: str = "random",
        algorithm: str = "",
        init_scale: Float[ArrayLike, ""] = 0.3,
        noise: Float[ArrayLike, ""] = 0.0,
        step_size: float = 0.5,
        lam: float = 0.0,
        dtype: DTypeLike | None = None,
        precision: str = EXACT,
        rngs: nnx.Rngs,
    ) -> None:
        where = type(self).__name__
        checks.size(where, dim=(dim, 1), context_length=(context_length, 1), depth=(depth, 0))
        checks.size(where, num_heads=(num_heads, 1), key_size=(key_size, 0))
        checks.instance(where, nnx.Rngs, "an nnx.Rngs, as nnx.Rngs(0)", rngs=rngs)
        checks.at_least(where, init_scale=(init_scale, 0.0), noise=(noise, 0.0), lam=(lam, 0.0))
        checks.finite(where, init_scale=init_scale, noise=noise, lam=lam)
        checks.positive(where, step_size=step_size)
        checks.boolean(where, tied=tied, masked=masked)
        checks.one_of(where, "layout", layout, LAYOUTS)
        checks.one_of(where, "init", init, INITS)
        checks.one_of(where, "biases", biases, BIASES)
        checks.instance(where, str, "a name", algorithm=algorithm)
        if init == "random" and algorithm:
            raise ValueError(
                f"{where}: algorithm is of stacks that are not random, got {algorithm!r}"
            )
        if masked and init != "random":
            raise ValueError(f"{where}: masked=True is of random stacks, got init={init!r}")
        if (layout == "custom") != (boxes is not None):
            raise ValueError(f"{where}: boxes and layout='custom' need each other, got {layout!r}")
        self.precision = known(where, precision)
        self.dim, self.context_length, self.tied, self.masked = dim, context_length, tied, masked
        self.lam, self.step_size, self.biases = float(lam), float(step_size), biases
        kind = checks.float_dtype(where, dtype)
        if init == "random":
            self._start = None
            self.prompt_format = (
                boxed_format(where, boxes, context_length, dim)
                if boxes is not None
                else named_format(layout, dim)
            )
            placed = self.prompt_format.layout(context_length)
            if masked:
                masking.refuse(where, placed, has_biases=self.has_biases)
            channels = placed.shape[1]
            indicator = self._indicator()
            self.stack = stack_layers.drawn(
                depth,
                channels,
                key_size or channels,
                num_heads,
                roles=None if indicator is None else indicator.shape[1],
                masked=masked,
                tied=tied,
                init_scale=init_scale / channels**0.5,
                dtype=kind,
                precision=precision,
                rngs=rngs,
            )
        else:
            sizes: dict[str, Any] = {"dim": dim, "depth": depth, "context_length": context_length}
            sizes |= {"step_size": float(step_size), "dtype": kind}
            start = starts.built(init, layout, algorithm, boxes=boxes, **sizes)
            self._start, self.prompt_format = nnx.static(start), start.prompt
            self.stack = stack_layers.from_stack(
                start.stack(context_length).stack,
                indicator=self._indicator(),
                tied=tied,
                noise=noise,
                dtype=kind,
                precision=precision,
                where=f"{where}: {start.prompt.name}",
                rngs=rngs,
            )

    @at_own_precision
    def __call__(self, prompt: AnyPrompt) -> Float[Array, " batch"]:
        """The predictions for a batch of prompts.

        Raises:
          TypeError: for Gram matrices.
          ValueError: for prompts that do not fit the model, also another context length than the
            model's where its layout or its biases fix it.
        """
        context = self._context(prompt)
        readout = self.readout(context.x.shape[1])

        def one(given: PackedPrompt, query_x: Array) -> Array:
            return stack_layers.prediction_of(self._run(given), readout, query_x)

        return jax.vmap(one)(self._pack(context), context.query_x)

    @at_own_precision
    def hidden_states(self, prompt: AnyPrompt) -> Float[Array, "layers batch rows m"]:
        """Every layer's prompt, the input first: [num_layers + 1, batch, rows, m].

        Raises:
          TypeError, ValueError: as a call.
        """
        given = self._pack(self._context(prompt))
        states = jax.vmap(lambda one: self._run(one, lambda h: h)[1], out_axes=1)(given)
        return jnp.asarray(states)

    @at_own_precision
    def by_layer(self, prompt: AnyPrompt) -> ByLayer:
        """The answer if the stack ended after each layer, its last, output layers apart.

        Raises:
          TypeError, ValueError: as a call.
        """
        context = self._context(prompt)
        readout = self.readout(context.x.shape[1])
        root = jnp.sqrt(self.lam / context.x.shape[1])

        def one(given: PackedPrompt, query_x: Array) -> tuple[Array, Array]:
            def read(h: Array) -> tuple[Array, Array]:
                last = self.stack.ended(h, *self._roles_of(given))
                w = readout.block(last, "w")[:, 0] if "w" in readout else jnp.zeros(0, h.dtype)
                return stack_layers.prediction_of(last, readout, query_x), w

            _, seen = self._run(given, read)
            predictions, weights = seen
            last = len(predictions) - len(self.stack.epilogue)
            return predictions[:last], weights[:last]

        prediction, w = jax.vmap(one, out_axes=1)(self._pack(context), context.query_x)
        scaled = self.prompt_format.holds.get("ridge") == "sqrt(lam) I"
        if "w" not in readout or (scaled and not self.lam):  # sqrt(lam) w tells nothing of w then
            return ByLayer(prediction, None)
        return ByLayer(prediction, w / root if scaled else w)

    @property
    def num_layers(self) -> int:
        """Layers that run."""
        return self.stack.num_layers

    def _context(self, prompt: AnyPrompt) -> Prompt:
        context = rows_of(prompt, self, self.dim)
        checks.size(type(self).__name__, **{"the examples of x": (context.x.shape[1], 1)})
        self.check_length(context.x.shape[1])
        return context

    def check_length(self, context_length: int) -> None:
        """Refuses another context length than the model's where layout or biases fix it.

        Raises:
          ValueError: naming what fixes it. TypeError: for anything but an integer.
        """
        checks.size(type(self).__name__, context_length=(context_length, 1))
        if context_length != self.context_length and not self._takes_any_length:
            fixed = "biases='position'" if self.prompt_format.any_length else "its layout"
            raise ValueError(
                f"{type(self).__name__}: the context must have the {self.context_length} examples "
                f"that {fixed} fixes, got {context_length}"
            )

    @property
    def _takes_any_length(self) -> bool:
        return self.prompt_format.any_length and not (self.has_biases and self.biases == "position")

    @property
    def roles(self) -> tuple[Role, ...]:
        """The roles that a row may have, at every context length."""
        form: PromptFormat = self.prompt_format
        return form.known_roles(self.dim, self.context_length)

    def _indicator(self) -> Float[np.ndarray, "n roles"] | None:
        """1 where a row has a role; None without biases."""
        if not self.has_biases:
            return None
        roles = self.prompt_format.roles(self.context_length)
        if self.biases == "position":
            return np.eye(len(roles))
        return role_indicator(roles, self.roles)

    def _pack(self, context: Prompt) -> PackedPrompt:
        dtype = jax.tree.leaves(nnx.state(self.stack, nnx.Param))[0].dtype

        def one(x: Array, y: Array, query_x: Array) -> PackedPrompt:
            cast = (jnp.asarray(a, dtype) for a in (x, y, query_x))
            return packed(
                self.prompt_format, self.roles, *cast, lam=self.lam, step_size=self.step_size
            )

        return jax.vmap(one)(context.x, context.y, context.query_x)

    def _roles_of(self, given: PackedPrompt) -> tuple[Array, ...]:
        """What layers take beside the prompt."""
        if not self.has_biases:
            return (masking.attended(given.roles, self.roles),) if self.masked else ()
        if self.biases == "position":
            return (jnp.eye(given.h.shape[0], dtype=given.h.dtype),)
        return (given.roles,)

    def _run(self, given: PackedPrompt, observe: Any = None) -> Any:
        roles = self._roles_of(given)
        return self.stack(given.h, observe=observe, roles=roles[0] if roles else None)

    def readout(self, context_length: int) -> BlockLayout:
        """Where the prediction, and w where there is one, lie after the last layer."""
        self.check_length(context_length)
        if self._start is None:
            return self.prompt_format.layout(context_length)
        return self._start.stack(context_length).readout


class LSAModel(StackModel):
    """A `StackModel` of layers without biases."""

    has_biases = False


class ELSAModel(StackModel):
    """A `StackModel` of layers with biases."""

    has_biases = True

"""The catalogue of the layout ablation: where blocks may be moved, and how they may be changed."""

import dataclasses
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from elsa import BlockLayout, constructions, theory
from elsa.prompts.edits import edited, exchanged, mirrored, moved, outside, turned

Change = Callable[[Array], Array]
Blocks = Mapping[str, Array]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Family:
    """The common properties of the constructions on one prompt.

    make: the construction.
    prompt: "natural", the problem's blocks enumerated; "stacked", which holds R = sqrt(lam) I as
      the block "ridge" for lam, the fit X w, and sqrt(lam) w for w; "state", which holds lam I as
      the block "ridge", sqrt(eta) I as the block "step", and w.
    """

    make: Callable[..., constructions.RidgeStack]
    prompt: str

    @property
    def bias_free(self) -> bool:
        """Whether its layers act on whole channels, and answer where the caller put w."""
        return self.prompt != "natural"

    @property
    def holds_root(self) -> bool:
        """Whether sqrt(lam) and sqrt(lam) w stand in the prompt for lam and w."""
        return self.prompt == "stacked"

    @property
    def regulariser(self) -> str:
        """The block that carries lambda."""
        return "ridge" if self.bias_free else "lam"

    @property
    def context(self) -> tuple[str, ...]:
        """The blocks whose rows are the context's."""
        return ("X", "y", "fit") if self.prompt == "stacked" else ("X", "y")

    @property
    def scratch(self) -> str | None:
        """The block that is zero at the start, where there is one."""
        return {"natural": "residual", "state": "fit"}.get(self.prompt)

    def layout(self, n: int, d: int, spare: int) -> BlockLayout:
        """The construction's own order of blocks, with room to move them or to store X^T."""
        square = max(n, d)
        low = square + spare
        if self.prompt == "state":
            boxes = {
                "X": (0, 0, n, d),
                "y": (0, square, n, 1),
                "ridge": (low, square + 1, d, d),
                "step": (low, square + 1 + d, d, d),
                "w": (low, square + 1 + 2 * d, d, 1),
            }
            return BlockLayout(boxes, (low + d + spare, square + 2 + 4 * d))
        if self.prompt == "stacked":
            boxes = {
                "X": (0, 0, n, d),
                "ridge": (low, 0, d, d),
                "y": (0, square, n, 1),
                "fit": (0, square + 1, n, 1),
                "w": (low, square + 1, d, 1),
            }
            return BlockLayout(boxes, (low + d + spare, square + 2 + d))
        boxes = {
            "X": (0, 0, n, d),
            "y": (0, square, n, 1),
            "lam": (0, square + 1, 1, 1),
            "w": (0, square + 2, d, 1),
        }
        return BlockLayout(boxes, (square + spare, square + 4 + d))


FAMILIES = {
    "ridge_lsa": Family(make=constructions.ridge_lsa, prompt="stacked"),
    "ridge_lsa_state": Family(make=constructions.ridge_lsa_state, prompt="state"),
    "ridge_elsa": Family(make=constructions.ridge_elsa, prompt="natural"),
    "ridge_elsa_one_layer": Family(make=constructions.ridge_elsa_one_layer, prompt="natural"),
}


def rearrangements(family: Family, layout: BlockLayout, spare: int) -> dict[str, BlockLayout]:
    """Name -> another place for the same blocks."""
    free = max(box.channels.stop for box in layout.blocks.values())  # the first spare channel
    lam, all_blocks = family.regulariser, tuple(layout)
    aside = moved(layout, ["X"], channels=free)
    if family.prompt == "stacked":  # rows below X and in its channels
        aside_with_lam = moved(layout, ["X", lam], channels=free)
    else:
        behind = aside.box("X").channels.stop - layout.box(lam).col
        aside_with_lam = moved(aside, [lam], channels=behind)
    state = {}
    if family.prompt == "state":
        state["λ, √η, w to other rows"] = moved(layout, [lam, "step", "w"], rows=spare)
    return {
        "X to other rows": moved(layout, ["X"], rows=spare),
        "X, y to other rows": moved(layout, family.context, rows=spare),
        "X to other channels": aside,
        "X, λ to other channels": aside_with_lam,
        "y to another channel": moved(layout, ["y"], channels=free - layout.box("y").col),
        "λ to other rows": moved(layout, [lam], rows=spare),
        "w to other rows": moved(layout, ["w"], rows=spare),
        "λ, w to other rows": moved(layout, [lam, "w"], rows=spare),
        **state,
        "all to other rows": moved(layout, all_blocks, rows=spare),
        "all to other channels": moved(layout, all_blocks, channels=1),
        "X and y exchanged": exchanged(layout, "X", "y"),
        "order of blocks reversed": mirrored(layout),
        "X stored transposed": turned(layout, "X"),
    }


@dataclasses.dataclass(frozen=True, kw_only=True)
class Edit:
    """A change of entries in place.

    changes: block of the prompt -> function of it, for a batch.
    problem: the task's blocks X and y, and lam, to those of the problem that the changed prompt
      poses; None where the prompt still stands for the original one.
    """

    changes: Mapping[str, Change]
    problem: Callable[[Array, Array, float], tuple[Array, Array, float]] | None = None


def edits(family: Family) -> dict[str, Edit]:
    """Name -> a change of the data, without noise."""

    def rows(block: Array) -> Array:
        return jnp.roll(block, 1, axis=-2)

    def columns(block: Array) -> Array:
        return jnp.roll(block, 1, axis=-1)

    def scaled(factor: float) -> Change:
        return lambda block: factor * block

    twice = 2.0**0.5 if family.holds_root else 2.0
    return {
        "context rows permuted": Edit(changes=dict.fromkeys(family.context, rows)),
        "rows of X permuted": Edit(
            changes={"X": rows}, problem=lambda X, y, lam: (rows(X), y, lam)
        ),
        "columns of X permuted": Edit(
            changes={"X": columns}, problem=lambda X, y, lam: (columns(X), y, lam)
        ),
        "X × 0.9": Edit(changes={"X": scaled(0.9)}, problem=lambda X, y, lam: (0.9 * X, y, lam)),
        "X × 2": Edit(changes={"X": scaled(2.0)}, problem=lambda X, y, lam: (2.0 * X, y, lam)),
        "y × 2": Edit(changes={"y": scaled(2.0)}, problem=lambda X, y, lam: (X, 2.0 * y, lam)),
        "λ × 2": Edit(
            changes={family.regulariser: scaled(twice)},
            problem=lambda X, y, lam: (X, y, 2.0 * lam),
        ),
    }


def noise_targets(family: Family, *, scratch: bool = False) -> dict[str, str]:
    """Name in reports -> block of the prompt; "" is what lies outside of the caller's blocks."""
    named = {"X": "X", "y": "y", "λ": family.regulariser, "w": "w"}
    if family.prompt == "stacked":
        named["fit"] = "fit"
    if family.prompt == "state":
        named["√η"] = "step"
    named["the rest"] = ""
    if scratch and family.scratch is not None:
        named["scratch"] = family.scratch
    return named


def noisy(
    h: Array, stack: constructions.RidgeStack, block: str, size: float, rng: np.random.Generator
) -> Array:
    """A batch of prompts with normal noise on one block, `size` times its root mean square.

    What lies outside of the caller's blocks (block ""), and the scratch channel, which is zero, get
    `size` times that of y.
    """
    layout = stack.layout if block in stack.layout or not block else stack.readout
    wide = BlockLayout(layout.blocks, (h.shape[-2], h.shape[-1]))
    unit = _unit(wide.block(h, block if block in stack.layout else "y"))
    if block:
        noise = size * unit * rng.normal(size=(len(h), *wide.shape_of(block)))
        return edited(h, wide, {block: lambda values: values + noise})
    mask = np.zeros(wide.shape, bool)
    mask[: layout.shape[0], : layout.shape[1]] = outside(layout)
    return h + jnp.where(mask[None], size * unit * rng.normal(size=h.shape), 0.0)


def noise_gains(
    family: Family,
    stack: constructions.RidgeStack,
    targets: Mapping[str, str],
    X: Array,
    y: Array,
    lam: float,
    start: Array,
) -> dict[str, Array]:
    """Root mean square shift of the answer, relative to its norm, by noise of size 1; [B] each.

    First order in the noise. Left out where the stack does not read the block, or forgets it.
    """
    one_layer = family.make is constructions.ridge_elsa_one_layer

    def shift_by(block: str, X: Array, y: Array, start: Array) -> Change | None:
        if family.prompt == "stacked":
            name = _DESIGNED[block]
            return lambda e: theory.designed_shift(X, y, lam, start, **{name: e})
        if family.prompt == "state" and block in ("ridge", "step", ""):
            return lambda e: theory.state_shift(
                X, y, lam, start, stack.step_size, **_parts(block, e, *X.shape)
            )
        if block in _NATURAL:
            return lambda e: theory.natural_shift(X, y, lam, **{_NATURAL[block]: e})
        if block == "residual" and one_layer:
            return lambda e: theory.scratch_shift(X, lam, stack.step_size, stack.depth, e)
        return None

    def gains(X: Array, y: Array, start: Array) -> dict[str, Array]:
        blocks = stack.encode(X=X, y=y, lam=lam, w=start)
        length = jnp.linalg.norm(theory.natural_shift(X, y, lam, d_y=y))  # the solution's
        gains = {}
        for label, block in targets.items():
            shift = shift_by(block, X, y, start)
            if shift is not None:
                n, d = X.shape
                rest = (n + d, 2 * d + 1) if family.prompt == "state" else start.shape
                rows, columns = {"residual": y.shape, "": rest}.get(block) or blocks[block].shape
                unit = _unit(blocks[block if block in blocks else "y"])[0, 0]
                gains[label] = unit * theory.noise_gain(shift, (rows, columns)) / length
        return gains

    return dict(jax.jit(jax.vmap(gains))(X, y, start))


_NATURAL = {"X": "d_x", "y": "d_y", "lam": "d_lam"}
_DESIGNED = {"X": "d_x", "y": "d_y", "ridge": "d_ridge", "w": "d_w", "fit": "d_fit", "": "d_label"}


def _parts(block: str, e: Array, n: int, d: int) -> dict[str, Array]:
    """Noise on a block of the state prompt by its name in theory; on "", where it holds zeros.

    There its rows are those of the context, then those of w; its channels, as far as they count,
    those of lam, w and step in the former, of X and y in the latter.
    """
    if block:
        return {f"d_{block}": e}
    context, state = e[:n], e[n:]
    return {
        "context_ridge": context[:, :d],
        "context_w": context[:, d : d + 1],
        "context_step": context[:, d + 1 :],
        "d_data": state[:, :d],
        "d_label": state[:, d : d + 1],
    }


def _unit(block: Array) -> Array:
    """Root mean square of a block's entries, the axes kept."""
    return jnp.sqrt(jnp.mean(block**2, axis=(-2, -1), keepdims=True))

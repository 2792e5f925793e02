"""A compiled stack against its step: blocks at several scales, and how much rounding each adds.

Where a step's rounding shows depends on how large its blocks are: gradient descent with eta = 0.1
damps everything while |X| is near 1, and is at the edge of stability where eta |X|^2 is near 2. So
blocks that are not given are drawn at norm 1, at the largest norm at which the step's states stay
bounded, and well below it.
"""

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from elsa.base import checks
from elsa.base.precision import exact
from elsa.compiler.evaluating import evaluated
from elsa.compiler.planning.layers import Measured
from elsa.compiler.tracing.steps import Traced

Blocks = Mapping[str, Any]
State = dict[str, Any]  # block -> its array in a step
# Of the outputs over the blocks given, up to which a step counts as stable. The first at which any
# scale does is taken: small X and y have solutions that are not small.
_GROWTHS = (10.0, 1e4, float("inf"))
_DOUBLINGS, _HALVINGS = 10, 4  # of the search for the largest such scale
_BELOW = 1 / 16  # the third scale, as a part of the largest


class NeverFiniteError(ValueError):
    """Blocks on which the step itself becomes infinite or NaN: there is nothing to compare with."""


class Plain(NamedTuple):
    """What the step itself computes.

    final: the outputs after the last step.
    peaks: the largest magnitude that each output has had, the input included.
    growth: the largest of the peaks over the largest magnitude of the blocks given.
    broken: (block, step) of the first value that is not finite; None where all are.
    """

    final: dict[str, np.ndarray]
    peaks: dict[str, float]
    growth: float
    broken: tuple[str, int] | None


@exact
def largest_error(
    traced: Traced,
    dtype: np.dtype,
    run: Callable[..., dict[str, Array]],
    key: Array,
    blocks: Blocks,
) -> float:
    """max |out - ref| over the reference block's peak, over all scales.

    Raises:
      TypeError: for a key that is none, and for blocks that are traced or hold no real numbers.
      ValueError: for a block of another shape, or with NaN or infinity.
      NeverFiniteError: where the step itself is finite at no scale, naming block and step.
    """
    checks.random_key("verify", key)
    checks.known_names("verify", "block", blocks, traced.inputs)
    for name, block in blocks.items():
        checks.concrete("verify", name, block)
        checks.finite("verify", **{name: block})
        checks.column("verify", name, block, traced.shapes[name])
    plain = Reference(traced, dtype)
    errors = []
    for scale in scales(plain, key, blocks):
        drawn = plain.draw(key, blocks, scale)
        errors.append(_error(run(**drawn), plain(drawn)))
    return float(np.max(errors))  # NaN where a block of the stack's is


@exact
def rounding(
    traced: Traced, run: Callable[..., dict[str, Array]], key: Array
) -> tuple[Measured, ...]:
    """The rounding of a float32 stack over that of the step in float32, both against float64."""
    narrow, wide_step = (_Written(traced, np.dtype(d)) for d in ("f4", "f8"))
    ratios = []
    for scale in scales(narrow, key, {}):
        drawn = narrow.draw(key, {}, scale)
        out, in_float32, wide = run(**drawn), narrow(drawn), wide_step(drawn)
        floor = float(np.finfo(np.float32).eps)
        ratio = _error(out, wide) / max(_error(in_float32.final, wide), floor)
        ratios.append(Measured(scale, ratio))
    return tuple(ratios)


def _error(out: Mapping[str, Any], plain: Plain) -> float:
    tiny = float(np.finfo(np.float32).tiny)
    errors = [
        np.abs(np.asarray(value).reshape(plain.final[name].shape) - plain.final[name]).max()
        / max(plain.peaks[name], tiny)
        for name, value in out.items()
    ]
    return float(np.max(errors, initial=0.0))


def scales(plain: "Reference", key: Array, blocks: Blocks) -> Iterator[float]:
    """Norms of the blocks that are drawn: the largest at which the step is stable, a low one, 1.

    Raises:
      NeverFiniteError: where the step is finite at none of them.
    """
    if plain.traced.inputs.keys() <= blocks.keys():
        plain.require_finite(plain(plain.draw(key, blocks, 1.0)))
        yield 1.0
        return

    def stable(scale: float, growth: float) -> bool:
        reference = plain(plain.draw(key, blocks, scale))
        return reference.broken is None and reference.growth <= growth

    largest = None
    for growth in _GROWTHS:
        bounded = functools.partial(stable, growth=growth)
        # A step that takes t runs op by op: norm 1 is tried before any search.
        alone = plain.traced.takes_t and bounded(1.0)
        largest = largest or (1.0 if alone else _largest(bounded))
    if largest is None:
        plain.require_finite(plain(plain.draw(key, blocks, 1.0)))
        largest = 1.0
    yield largest
    yield largest * _BELOW
    if largest > 1.0:
        yield 1.0


def _largest(stable: Callable[[float], bool]) -> float | None:
    """The largest scale at which the step is stable, found by doubling and bisection."""
    up = stable(1.0)
    exponents = range(1, _DOUBLINGS + 1) if up else range(-1, -_DOUBLINGS - 1, -1)
    good: float | None = 0.0 if up else None
    bad = None if up else 0.0
    for exponent in exponents:
        if stable(2.0**exponent):
            good = float(exponent)
            if not up:
                break
        else:
            bad = float(exponent)
            if up:
                break
    if good is None or bad is None:
        return None if good is None else 2.0**good
    for _ in range(_HALVINGS):
        middle = (good + bad) / 2
        good, bad = (middle, bad) if stable(2.0**middle) else (good, middle)
    scale: float | None = 2.0**good
    return scale


class Reference:
    """The step itself, in plain JAX, `depth` times."""

    def __init__(self, traced: Traced, dtype: np.dtype) -> None:
        self.traced, self.dtype = traced, dtype
        self._loop = jax.jit(self._scanned)

    def draw(self, key: Array, blocks: Blocks, scale: float) -> dict[str, Any]:
        """The blocks given, and normal ones divided by sqrt(rows) + sqrt(columns), times scale."""
        drawn: dict[str, Any] = {}
        for index, (name, shape) in enumerate(self.traced.inputs.items()):
            rows, columns = self.traced.shapes[name]
            normal = jax.random.normal(jax.random.fold_in(key, index), shape, self.dtype)
            drawn[name] = blocks.get(name, scale * normal / (rows**0.5 + columns**0.5))
        return drawn

    def __call__(self, blocks: Blocks) -> Plain:
        # The constants of a step are float64, and would win over blocks of fewer digits.
        with jax.enable_x64(self.dtype == np.float64):
            state, seen = self._path(self._start(blocks))
            final = {name: np.asarray(state[name]) for name in self.traced.outputs}
            largest = max(float(np.abs(np.asarray(block)).max()) for block in blocks.values())
            return self._summary(final, {n: np.array(peaks) for n, peaks in seen.items()}, largest)

    def _start(self, blocks: Blocks) -> State:
        shapes = self.traced.inputs.items()
        return {name: jnp.asarray(blocks[name], self.dtype).reshape(s) for name, s in shapes}

    def _path(self, state: State) -> tuple[State, Mapping[str, Any]]:
        """The last state, and each output's magnitude at the start and after every step."""
        if self.traced.takes_t:  # a loop in Python: jit would compile every t anew
            return self._step_by_step(state)
        state, first, later = self._loop(state)
        return state, {n: np.append(np.asarray(first[n]), later[n]) for n in first}

    def _step_by_step(self, state: State) -> tuple[State, Mapping[str, Any]]:
        seen = {name: [_peak(state[name])] for name in self.traced.outputs}
        for t in range(self.traced.depth):
            state = self._after(state, t)
            for name, peaks in seen.items():
                peaks.append(_peak(state[name]))
        return state, seen

    def _scanned(self, start: State) -> tuple[State, dict[str, Array], dict[str, Array]]:
        """The last state, the outputs' magnitudes at the start, and after every step."""

        def peaks(state: State) -> dict[str, Array]:
            return {name: _peak(state[name]) for name in self.traced.outputs}

        def body(state: State, _: None) -> tuple[State, dict[str, Array]]:
            state = self._after(state, None)
            return state, peaks(state)

        last, later = jax.lax.scan(body, start, None, length=self.traced.depth)
        return last, peaks(start), later

    def _after(self, state: State, t: int | None) -> State:
        out = self.traced.step(**state, **({} if t is None else {"t": t}))
        return state | {name: jnp.asarray(v, state[name].dtype) for name, v in out.items()}

    def _summary(
        self, final: dict[str, np.ndarray], seen: dict[str, np.ndarray], given: float
    ) -> Plain:
        broken = [
            (int(np.argmin(np.isfinite(peaks))), name)
            for name, peaks in seen.items()
            if not np.isfinite(peaks).all()
        ]
        highest = {name: float(np.max(peaks)) for name, peaks in seen.items()}
        first = (min(broken)[1], min(broken)[0]) if broken else None
        growth = max(highest.values()) / max(given, float(np.finfo(np.float32).tiny))
        return Plain(final, highest, growth, first)

    def require_finite(self, found: Plain) -> None:
        if found.broken is not None:
            name, step = found.broken
            raise NeverFiniteError(
                f"verify: the step itself is not finite: block {name!r} after step {step} "
                f"of {self.traced.depth}; give blocks on which it stays finite"
            )


class _Written(Reference):
    """The step's values as they stand, in NumPy.

    Not the step itself: jax takes an array that a step holds for float64 as long as a program in
    float64 with it is alive, in float32 too, and the other way round.
    """

    def _start(self, blocks: Blocks) -> State:
        shapes = self.traced.shapes.items()
        return {name: np.asarray(blocks[name], self.dtype).reshape(s) for name, s in shapes}

    def _path(self, state: State) -> tuple[State, Mapping[str, Any]]:
        with np.errstate(all="ignore"):  # a step that is not stable overflows
            return self._step_by_step(state)

    def _after(self, state: State, t: int | None) -> State:
        variant = min(t or 0, self.traced.graph.variants - 1)
        return state | evaluated(self.traced.outputs, state, variant)


def _peak(block: Any) -> Any:
    return abs(block).max()

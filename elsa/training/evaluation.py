"""Errors of trained models on prompts of any task, their own or another, beyond the mean.

A stack of L layers of linear attention is a polynomial of degree 3^L in its prompt, so that from
three layers on a few prompts with large covariates make up most of the mean squared error, and
decide its sign against another model. The median and the trimmed mean say what the others do, and
the band how far the mean can be trusted.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float
from rich.console import Console

from elsa import tasks
from elsa.base import checks
from elsa.tasks.shifts import SHIFTS
from elsa.training import answers, contracts, kinds, progress, sampling
from elsa.training.grid import Grid
from elsa.training.lengths import graph_at
from elsa.training.pieces import Pace
from elsa.training.program import EVALUATION
from elsa.training.sweep import Point, build_task, stack

if TYPE_CHECKING:
    from elsa.training.trained import Trained

_WHERE = "evaluate"
_ON_DEVICE = 2**22  # errors that one call leaves in the device's memory: 16 MB in float32
_ON_HOST = 10**8  # errors that are kept in all: 800 MB
_BATCHES = 100  # of one call at most, so that its progress shows
_DROPPED = 1000  # the worst of so many prompts is left out of the trimmed mean
_RESAMPLES, _GROUPS = 1000, 1000  # of the bootstrap; its unit is a group of prompts


class Evaluation(NamedTuple):
    """Squared errors of every model on fresh prompts, each [seeds, points].

    mean: over all prompts. Infinite where an error is, and then without standard error and band.
    standard_error: of the mean; NaN for a single prompt.
    median: of the prompts' squared errors.
    trimmed_mean: without the worst thousandth of the prompts, rounded down.
    low, high: the central 95 % of the means of 1000 resamples of the prompts (bootstrap), wider
      above than below where few prompts make up the mean; NaN for a single prompt. It knows the
      prompts that were drawn and no others: where one prompt in a million matters, it is too short.
    """

    mean: Float[np.ndarray, "seeds points"]
    standard_error: Float[np.ndarray, "seeds points"]
    median: Float[np.ndarray, "seeds points"]
    trimmed_mean: Float[np.ndarray, "seeds points"]
    low: Float[np.ndarray, "seeds points"]
    high: Float[np.ndarray, "seeds points"]


class _Group(NamedTuple):
    """Points of a sweep that share a program.

    which: indices of the points.
    points, axes: themselves as one tree, and the axes to map it over, as a `Sweep` has them.
    graph: of their models.
    sampler: as `sampling.choose` gives it.
    """

    which: list[int]
    points: Any
    axes: Any
    graph: Any
    sampler: str


def evaluate(
    trained: "Trained",
    num_prompts: int,
    *,
    task: Any = None,
    draw: int = 0,
    depth: int | None = None,
    screen: Console | None = None,
    name: str | None = None,
    **shifts: Any,
) -> Evaluation:
    """See `Trained.evaluate`."""
    checks.size(_WHERE, num_prompts=(num_prompts, 1), draw=(draw, 0))
    checks.known_names(_WHERE, "shift of a task", shifts, SHIFTS)
    program = trained.program
    seeds, points = trained.state.active.shape
    batch = program.settings.train.batch
    batches = math.ceil(num_prompts / batch)
    kept = batches * batch * seeds * points
    if kept > _ON_HOST:
        raise ValueError(
            f"{_WHERE}: num_prompts must leave at most {_ON_HOST:,} errors to sort, got "
            f"{batches * batch:,} prompts for {seeds} x {points} models; take fewer, or `risk`, "
            "which keeps none"
        )
    most = max(1, min(_BATCHES, _ON_DEVICE // (batch * seeds * points)))
    calls = math.ceil(batches / most)
    each = math.ceil(batches / calls)  # one program for all calls
    doing = f"{name or trained.folder.name}: evaluating on {calls * each * batch:,} prompts"
    groups = _groups(trained, task, shifts)
    if depth is not None:
        here = program.sweep.points.task.context_length
        if any(group.points.task.context_length != here for group in groups):
            raise ValueError(f"{_WHERE}: depth goes with the context_length={here} trained on")
        deeper = graph_at(_WHERE, program, 0, here, depth=depth)
        groups = [group._replace(graph=deeper) for group in groups]
    runs = [(group.which, _errors(trained, group, batch, each, draw), Pace()) for group in groups]
    errors = np.empty((seeds, points, calls, each * batch))
    for part in progress.shown(range(len(runs) * calls), doing, screen):
        (which, run, pace), call = runs[part // calls], part % calls
        for done, count in pace.pieces(each):
            found = np.asarray(run(np.int32(call * each + done), np.int32(count)))
            own = slice(done * batch, (done + count) * batch)
            errors[:, which, call, own] = found[:, :, : count * batch]
    squares = np.square(errors, out=errors).reshape(seeds, points, -1)
    return summary(squares, np.random.default_rng([program.settings.seed, draw]))


def _groups(trained: "Trained", task: Any, shifts: Mapping[str, Any]) -> list[_Group]:
    """The points, by what they are evaluated on and how their models are scaled."""
    program = trained.program
    names, longest = program.sweep.names, program.sweep.points.task.context_length
    if task is None and not shifts:
        graph = nnx.split(program.bare())[0]
        return [
            _Group(
                list(range(len(names))),
                program.sweep.points,
                program.sweep.axes,
                graph,
                program.sampler,
            )
        ]
    drawn = _tasks(trained, task, shifts)
    alike: dict[tuple[int, int], list[int]] = {}
    for index, point in enumerate(names):
        lengths = drawn[index].context_length, point.get("context_length", longest)
        alike.setdefault(lengths, []).append(index)
    return [_group(trained, which, [drawn[i] for i in which]) for which in alike.values()]


def _group(trained: "Trained", which: list[int], drawn: Sequence[Any]) -> _Group:
    """Points that are evaluated on contexts of one length, and were trained on those of one."""
    program = trained.program
    points = [
        Point(jax.tree.map(lambda leaf: np.asarray(leaf, program.settings.dtype), own), None, 0, {})
        for own in drawn
    ]
    graph = graph_at(_WHERE, program, which[0], drawn[0].context_length)
    asked = program.settings.train.sampler
    asked = "rows" if asked == "rows" else "auto"  # another task need not have the others
    stacked, axes = stack(points)
    line = Grid.line(stacked, axes, len(points))
    crowd = sampling.Crowd.of(line, program.settings, share_data=True)
    sampler = sampling.choose(asked, program.bare(), points[0], crowd)
    kind = type(drawn[0]).__name__
    contracts.check_prompts(kind, sampler, sampling.SAMPLE[sampler], points[0])
    return _Group(which, stacked, axes, graph, sampler)


def _tasks(trained: "Trained", task: Any, shifts: Mapping[str, Any]) -> list[Any]:
    """The task that every point is evaluated on."""
    program = trained.program
    asked = dict(shifts)
    if task is None:
        # a task with a shorter form in its settings, as a drift by its correlation, has any length
        length = asked.pop("context_length", None)
        other = {} if length is None else {"context_length": length}
        own = [build_task(program.settings, {**p, **other}) for p in program.sweep.names]
    else:
        given = tasks.build(task) if isinstance(task, Mapping) else task
        contracts.check_task(type(given).__name__, given)
        kinds.refuse_others(program.settings.model["name"], type(given).__name__, given)
        if given.dim != program.sweep.points.task.dim:
            raise ValueError(
                f"{_WHERE}: task must have the dim={program.sweep.points.task.dim} of the run, got "
                f"{given.dim}"
            )
        own = [given] * len(program.sweep)
    return [tasks.shifted(each, **asked) if asked else each for each in own]


def _errors(
    trained: "Trained", group: _Group, batch: int, num_batches: int, draw: int
) -> Callable[[Any, Any], Float[Array, "seeds points prompts"]]:
    """A compiled function to the size of all models' errors, of the first batch's number and how
    many batches there are; what lies beyond these is of no meaning."""
    program = trained.program
    root = jax.random.fold_in(jax.random.key(program.settings.seed), EVALUATION)
    root = jax.random.fold_in(root, draw) if draw else root
    arrays = program.weights(trained.state), trained.state.fixed
    params, fixed = jax.tree.map(lambda leaf: leaf[:, np.array(group.which)], arrays)

    def one(params: Any, fixed: Any, point: Point, key: Array) -> Array:
        drawn = program.placing.prompts(sampling.SAMPLE[group.sampler](point, key, batch))
        prompt = jax.tree.map(lambda leaf: leaf.astype(program.settings.dtype), drawn)
        model: Any = nnx.merge(group.graph, params, fixed)
        precision = program.settings.train.matmul_precision
        return answers.sizes(answers.residuals(_WHERE, model, prompt, precision))

    points = jax.vmap(one, in_axes=(0, 0, group.axes, None))
    models = jax.vmap(points, in_axes=(0, 0, None, None))

    def run(params: Any, fixed: Any, points: Any, first: Array, count: Array) -> Array:
        def of_batch(index: Array) -> Array:
            found: Array = models(params, fixed, points, jax.random.fold_in(root, first + index))
            return found

        # a loop of any length, so that a signal need not wait for all batches
        shape = jax.eval_shape(of_batch, first)
        room = jnp.zeros((num_batches, *shape.shape), shape.dtype)
        errors = jax.lax.fori_loop(
            0, count, lambda index, so_far: so_far.at[index].set(of_batch(index)), room
        )
        moved = jnp.moveaxis(errors, 0, 2)
        return moved.reshape(*moved.shape[:2], -1)

    compiled = program.compiled(run)
    return lambda first, count: compiled(params, fixed, group.points, first, count)


def summary(
    squares: Float[np.ndarray, "seeds points prompts"], rng: np.random.Generator
) -> Evaluation:
    """The statistics of every model's squared errors, NaN among them counted as infinite.

    The bootstrap draws groups of neighbouring prompts, at most 1000, which has the same mean,
    variance and skewness of the mean as drawing single ones.
    """
    seeds, points, prompts = squares.shape
    groups = min(prompts, _GROUPS)
    starts = np.arange(groups) * prompts // groups
    sizes = np.diff([*starts, prompts])
    counts = rng.multinomial(groups, np.full(groups, 1.0 / groups), size=_RESAMPLES)
    weights = counts @ sizes
    found = np.full((len(Evaluation._fields), seeds, points), np.nan)
    mean, error, median, trimmed, low, high = found
    kept = prompts - prompts // _DROPPED
    for place in np.ndindex(seeds, points):
        own = np.where(np.isnan(squares[place]), np.inf, squares[place])
        mean[place], median[place] = own.mean(), np.median(own)
        trimmed[place] = np.partition(own, kept - 1)[:kept].mean()
        if prompts > 1 and np.isfinite(mean[place]):
            error[place] = own.std(ddof=1) / math.sqrt(prompts)
            means = counts @ np.add.reduceat(own, starts) / weights
            low[place], high[place] = np.quantile(means, (0.025, 0.975))
    return Evaluation(*found)

"""The compiled heart of training: loss, sampling and update of all models in one step."""

import functools
from collections.abc import Callable, Collection
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jaxtyping import Array, Float

from elsa import models
from elsa.base import arithmetic
from elsa.training import answers, compiling, contracts, descent, kinds, moments, sampling, stretch
from elsa.training.grid import Grid
from elsa.training.placing import Placing
from elsa.training.settings import RunSettings
from elsa.training.state import Skipped, TrainState
from elsa.training.sweep import Point, Sweep, pick

# Streams of randomness below the root key, named once.
INIT, DATA, EVALUATION = 0, 1, 2
_BY_AXIS = 6  # the version of the arithmetic from which on points are mapped over axis by axis
Watch = Callable[[Any, Any], dict[str, Any]]  # (model, task) -> numbers by name


class Program:
    """What is compiled for a run, once each: the initial state, a stretch of steps, evaluation.

    Draws are made once for all points that do not differ in what they depend on: the sampler is
    mapped over the axes of the sweep with the key unmapped, and only over seeds with their own key.

    Attributes:
      settings, sweep: as given.
      sampler: as `sampling.choose` says. arithmetic: the version (`base.arithmetic`) of its steps.
      placing: the devices that its models and prompts are divided over.
    """

    def __init__(self, settings: RunSettings, sweep: Sweep, **given: Any):
        self.settings, self.sweep, self.given = settings, sweep, given
        self.arithmetic = arithmetic.LATEST
        self._transform = descent.transform(settings.train)
        # averaging starts with this step
        self._averaged_from = round(settings.train.num_steps * (1.0 - settings.train.average))
        self._schedule = descent.schedule(settings.train)
        point, name = pick(sweep, 0), settings.task["name"]
        kinds.refuse_others(settings.model.get("name", ""), name, point.task)
        if (named := settings.model.get("name")) in models.MODELS:  # `bare` refuses others
            contracts.check_model(named, models.MODELS[named])
        model = self.bare()
        self._graph: Any = nnx.split(model)[0]
        self._grid = Grid.of(settings.sweep, sweep.points, sweep.axes)
        crowd = sampling.Crowd.of(self._grid, settings, settings.train.share_data)
        self.sampler = sampling.choose(settings.train.sampler, model, point, crowd)
        contracts.check_prompts(name, self.sampler, sampling.SAMPLE[self.sampler], point)
        self._options = options = compiling.options(settings.train.optimise)
        self.init = jax.jit(self._init, compiler_options=options)
        self.placing = Placing.of(settings.num_seeds, len(sweep), settings.train.batch)
        steps = functools.partial(stretch.piece, self._step, settings.train)
        places = self.placing.of_piece()
        self.piece = jax.jit(steps, donate_argnums=0, compiler_options=options, **places)
        measured = functools.partial(moments.piece, self._moments)
        places = self.placing.of_moments()
        self.risk = jax.jit(measured, donate_argnums=0, compiler_options=options, **places)

    @property
    def compilations(self) -> int:
        """How often the stretch of training steps was compiled; one is enough for a run."""
        piece: Any = self.piece
        return int(piece._cache_size())

    def compiled(self, function: Callable[..., Any]) -> Any:
        """Another function, compiled as the run's own are."""
        return jax.jit(function, compiler_options=self._options)

    def bare(self, **sizes: Any) -> Any:
        """The run's model with shapes in place of arrays, of another context_length and scale where
        `sizes` holds them."""
        # the sweep's smallest, in plain numbers: a model checks them only while they are known
        smallest = {axis: min(self.settings.sweep[axis]) for axis in self.sweep.points.model}
        # its shapes are enough: nothing is drawn, and no operation compiled, to check a config
        return nnx.eval_shape(lambda: self._build(jax.random.key(0), smallest, **sizes))

    def model(self, state: TrainState, seed: int, point: int, graph: Any = None) -> Any:
        """One trained model, with another graph than the run's where one is given."""
        arrays = self.weights(state), state.fixed
        own = jax.tree.map(lambda leaf: leaf[seed, point], arrays)
        return nnx.merge(self._graph if graph is None else graph, *own)

    def each(self, state: TrainState, read: Callable[[Any], Any]) -> Any:
        """`read(model)` of every model, mapped over seeds and points."""

        def one(params: Any, fixed: Any) -> Any:
            return read(nnx.merge(self._graph, params, fixed))

        return self.compiled(jax.vmap(jax.vmap(one)))(self.weights(state), state.fixed)

    def watcher(self, watch: Watch) -> Callable[[TrainState], dict[str, Array]]:
        """`watch(model, task)` of every model, as a compiled function to name -> [seeds, points].

        Raises:
          TypeError, ValueError: where `watch` gives anything but a flat dict of real numbers.
        """

        def one(params: Any, fixed: Any, task: Any) -> Any:
            return watch(nnx.merge(self._graph, params, fixed), task)

        points = jax.vmap(one, in_axes=(0, 0, self.sweep.axes.task))
        seeds = jax.vmap(points, in_axes=(0, 0, None))
        compiled = jax.jit(seeds, compiler_options=self._options)

        def asked(state: TrainState) -> tuple[Any, ...]:
            return self.weights(state), state.fixed, self.sweep.points.task

        def watched(state: TrainState) -> dict[str, Array]:
            found: dict[str, Array] = compiled(*asked(state))
            return found

        # not the compiled one: options are for a program of its own, which a traced one is not
        contracts.check_watched(
            jax.eval_shape(lambda state: seeds(*asked(state)), jax.eval_shape(self.init))
        )
        return watched

    def weights(self, state: TrainState) -> Any:
        """What training has found: the averages where the run asks for them."""
        return state.mean if self.settings.train.average else state.params

    def _build(self, key: Array, arguments: dict[str, Any], **sizes: Any) -> Any:
        task = self.sweep.points.task
        if "depth" in sizes:  # of a tied stack: it is the config's own argument
            arguments = {**arguments, "depth": sizes.pop("depth")}
        own: dict[str, Any] = {
            "context_length": task.context_length,
            "scale": 1.0 / task.context_length,
        }
        own |= kinds.KINDS[kinds.of(task)].model_takes(task)
        return models.build(
            {**self.sweep.model, **self.given, **arguments},
            rngs=nnx.Rngs(params=key),
            dim=task.dim,
            dtype=self.settings.dtype,
            precision=self.settings.train.matmul_precision,
            **{**own, **sizes},
        )

    def _root(self, stream: int) -> Array:
        return jax.random.fold_in(jax.random.key(self.settings.seed), stream)

    def _init(self) -> TrainState:
        """Fresh models; the seeds differ in their initial weights, the points do not."""

        def one(seed: Array, point: Point) -> tuple[Any, Any, Any]:
            model = self._build(jax.random.fold_in(self._root(INIT), seed), point.model)
            parts: Any = nnx.split(model, nnx.Param, ...)
            _, params, fixed = parts
            return params, fixed, self._transform.init(params)

        points = jax.vmap(one, in_axes=(None, self.sweep.axes), axis_size=len(self.sweep))
        seeds = jax.vmap(points, in_axes=(0, None))
        params, fixed, optimizer = seeds(jnp.arange(self.settings.num_seeds), self.sweep.points)
        shape = (self.settings.num_seeds, len(self.sweep))
        return TrainState(
            params,
            # a copy: what is given away must not hold an array twice
            jax.tree.map(jnp.copy, params) if self.settings.train.average else (),
            fixed,
            optimizer,
            active=jnp.ones(shape, bool),
            diverged=jnp.zeros(shape, bool),
            best=jnp.full(shape, jnp.inf, self.settings.dtype),
            stale=jnp.zeros(shape, jnp.int32),
            skipped=Skipped(jnp.zeros(shape, jnp.int32), jnp.zeros(shape, jnp.int32))
            if self.settings.train.skip_nonfinite
            else (),
        )

    def with_part(self, state: TrainState) -> TrainState:
        """The state with room for the losses of a stretch, for `piece`."""
        if not isinstance(state.part, tuple):
            return state
        shape = (self.settings.train.evaluate_every, *state.active.shape)
        return self.placing.placed(state._replace(part=jnp.zeros(shape, self.settings.dtype)))

    def advance(self, state: TrainState, first: Array) -> tuple[TrainState, Array]:
        """A whole stretch, from step `first` on; `stretch.piece` says what is returned."""
        every = jnp.int32(self.settings.train.evaluate_every)
        state, loss = self.piece(self.with_part(state), first, every)
        return state._replace(part=()), loss

    def shapes(self, saved: Collection[str] = ()) -> TrainState:
        """The state's arrays without their numbers, as far as the names in a checkpoint go."""
        fresh: TrainState = jax.eval_shape(self.init)
        return jax.eval_shape(self.with_part, fresh) if "part" in saved else fresh

    def room(self, state: TrainState, batches: int) -> moments.Moments:
        """Room for what `risk` finds in so many batches."""
        return self.placing.everywhere(moments.room(self._moments, state, batches))

    def _step(self, state: TrainState, step: Array) -> tuple[TrainState, Array]:
        """One step of all models, and the loss of each."""
        train, seeds = self.settings.train, jnp.arange(self.settings.num_seeds)
        own_data = None if train.share_data else 0
        keys = jax.vmap(lambda seed: self._data_key(seed, step))(seeds)
        points = self._over_points(functools.partial(self._update, step))
        every = jax.vmap(points, (0, own_data), spmd_axis_name=self.placing.along("seeds"))
        found: tuple[TrainState, Array] = every(state, keys[0] if train.share_data else keys)
        return found

    def _over_points(self, one: Callable[[Any, Point, Any], Any]) -> Callable[[Any, Any], Any]:
        """`one(own, point, shared)` of all points, as `Grid.over`."""
        if (divided := self.placing.along("points")) or self.arithmetic < _BY_AXIS:
            return Grid.line(self.sweep.points, self.sweep.axes, len(self.sweep)).over(one, divided)
        return self._grid.over(one)

    def _data_key(self, seed: Array, step: Array) -> Array:
        return jax.random.fold_in(jax.random.fold_in(self._root(DATA), seed), step)

    def _draw(self, point: Point, key: Array, batch: int) -> Any:
        """Prompts in the run's dtype, which need not be jax's default one."""
        with arithmetic.as_of(self.arithmetic):
            drawn = sampling.SAMPLE[self.sampler](point, key, batch)
        prompt = self.placing.prompts(drawn)
        return jax.tree.map(lambda leaf: leaf.astype(self.settings.dtype), prompt)

    def _residuals(self, model: Any, prompt: Any) -> Array:
        precision = self.settings.train.matmul_precision
        with arithmetic.as_of(self.arithmetic):
            return answers.residuals("train", model, prompt, precision)

    def _update(
        self, step: Array, state: TrainState, point: Point, key: Array
    ) -> tuple[TrainState, Array]:
        """One step of one model; a model that has stopped keeps what it has."""
        train = self.settings.train
        prompt = self._draw(point, key, train.batch)

        def loss_of(params: Any) -> tuple[Array, Array]:
            model: Any = nnx.merge(self._graph, params, state.fixed)
            residuals = self._residuals(model, prompt)
            squared = jnp.mean(answers.squares(residuals))
            if train.loss == "huber":
                return descent.huber(residuals, train.huber_delta), squared
            return squared, squared

        (descended, loss), gradient = jax.value_and_grad(loss_of, has_aux=True)(state.params)
        updates, optimizer = self._transform.update(gradient, state.optimizer, state.params)
        rate = point.learning_rate * jnp.asarray(self._schedule(step), self.settings.dtype)
        params = jax.tree.map(lambda old, change: old - rate * change, state.params, updates)
        numbers = [descended, optax.tree.norm(gradient), *jax.tree.leaves(params)]
        finite = jnp.stack([jnp.isfinite(number).all() for number in numbers]).all()
        moves = state.active & finite
        active, sound, skipped = moves, finite, state.skipped
        if isinstance(skipped, Skipped):
            in_a_row = jnp.where(finite, 0, skipped.in_a_row + 1)
            sound = in_a_row <= train.skip_nonfinite
            active = state.active & sound
            skipped = Skipped(
                jnp.where(state.active, in_a_row, skipped.in_a_row),
                skipped.lately + (state.active & ~finite),
            )
            loss = jnp.where(finite, loss, jnp.nan)  # left out of the mean over the stretch

        diverges = state.active & ~sound

        def kept(new: Array, old: Array) -> Array:
            return jnp.where(moves, new, old)

        mean = state.mean
        if train.average:
            # a step that is left out has the weights before it, which count once more
            reached = jax.tree.map(kept, params, state.params) if train.skip_nonfinite else params
            mean = descent.averaged(step - self._averaged_from, reached, state.mean, active)
        return state._replace(
            params=jax.tree.map(kept, params, state.params),
            mean=mean,
            optimizer=jax.tree.map(kept, optimizer, state.optimizer),
            active=active,
            diverged=state.diverged | diverges,
            stale=jnp.where(diverges, -(step + 1).astype(jnp.int32), state.stale),
            skipped=skipped,
        ), loss

    def _moments(
        self, state: TrainState, index: Array
    ) -> tuple[Float[Array, "seeds points"], Float[Array, "seeds points"]]:
        """Mean square and mean fourth power of errors on the prompts of the batch of this number,
        the same for all models."""

        def one(own: tuple[Any, Any], point: Point, key: Array) -> tuple[Array, Array]:
            prompt = self._draw(point, key, self.settings.train.batch)
            model: Any = nnx.merge(self._graph, *own)
            squares = answers.squares(self._residuals(model, prompt))
            return squares.mean(), (squares**2).mean()

        seeds = jax.vmap(self._over_points(one), in_axes=(0, None))
        key = jax.random.fold_in(self._root(EVALUATION), index)
        found: tuple[Array, Array] = seeds((self.weights(state), state.fixed), key)
        return found

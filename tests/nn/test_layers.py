"""LSA and ELSA modules: sums of heads, batches, training, and weights from symbolic heads."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import elsa
from elsa import BlockLayout, heads
from elsa.heads.head import HeadWeights
from elsa.nn import ELSA, LSA
from tests.helpers import assert_within, attention_reference, attention_rounding, table

SHAPE, KEY_SIZE, NUM_HEADS = (4, 3), 2, 3
LAYOUT = BlockLayout({"X": (0, 0, 4, 2), "y": (0, 2, 4, 1), "w": (0, 3, 2, 1), "r": (0, 4, 4, 1)})
BIASED = [
    heads.product(LAYOUT, "X", "w", "r", scale=-1.0),
    heads.transposed_product(LAYOUT, "X", "y", "w", scale=0.3),
    heads.move(LAYOUT, "y", "r"),
]
PLAIN = [
    heads.triple_product(LAYOUT, "X", "X", "y", "r", scale=0.3),
    heads.triple_product(LAYOUT, "y", "r", "y", "r", scale=-2.0),
]


def make(kind, **options):
    sizes = SHAPE if kind is ELSA else SHAPE[1:]
    return kind(*sizes, KEY_SIZE, NUM_HEADS, rngs=nnx.Rngs(0), **options)


def prompt(shape=SHAPE, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def each(weights):
    """The weights of each head in turn."""
    return [HeadWeights(*arrays) for arrays in zip(*weights, strict=True)]


def sum_of_heads(h, all_weights):
    """The sum in NumPy and the rounding it may suffer; adding heads costs a rounding each."""
    expected = sum(attention_reference(h, w) for w in all_weights)
    bound = sum(attention_rounding(h, w) for w in all_weights)
    return expected, 2 * bound


def with_biases(module, n):
    """The module's weights, with biases of n rows where it has none."""
    weights, (lead, m, p) = module.weights, module.wq.shape
    none = [np.zeros((lead, n, p)), np.zeros((lead, n, p)), np.zeros((lead, n, m))]
    return weights if isinstance(module, ELSA) else HeadWeights(*weights[:3], *none)


@pytest.mark.parametrize("kind", [LSA, ELSA])
def test_a_module_is_the_sum_of_its_heads(kind):
    module, h = make(kind), prompt()
    expected, bound = sum_of_heads(h, each(with_biases(module, SHAPE[0])))
    assert_within(module(h), expected, bound)
    assert_within(module(jnp.asarray(h)), expected, bound)


@pytest.mark.parametrize("kind", [LSA, ELSA])
def test_a_batch_is_each_prompt_alone(kind):
    module, batch = make(kind), prompt((5, *SHAPE))
    out = module(batch)
    assert out.shape == batch.shape
    for index, h in enumerate(batch):
        expected, bound = sum_of_heads(h, each(with_biases(module, SHAPE[0])))
        assert_within(out[index], expected, bound)
    assert module(batch[:0]).shape == (0, *SHAPE)


@pytest.mark.parametrize("kind", [LSA, ELSA])
def test_jit_equals_eager(kind):
    module, h = make(kind), prompt()
    expected, bound = sum_of_heads(h, each(with_biases(module, SHAPE[0])))
    assert_within(nnx.jit(lambda module, h: module(h))(module, h), expected, bound)


def test_lsa_takes_prompts_of_any_length():
    module = make(LSA)
    for n in (1, 2, 40):
        assert module(prompt((n, SHAPE[1]))).shape == (n, SHAPE[1])


@pytest.mark.parametrize("kind", [LSA, ELSA])
def test_parameters_are_drawn_small_and_each_with_a_key_of_its_own(kind):
    module = make(kind)
    arrays = {name: np.asarray(getattr(module, name)[...]) for name in kind.fields}
    entries = np.concatenate([array.ravel() for array in arrays.values()])
    # 4 standard errors of a standard deviation estimated from 63 or 147 entries.
    assert abs(entries.std() / 0.02 - 1) <= 4 / np.sqrt(2 * entries.size)
    assert len(set(entries)) == entries.size  # no array repeats another's draw
    expected = {"wq": (3, 3, 2), "wk": (3, 3, 2), "wv": (3, 3, 3)}
    if kind is ELSA:
        expected |= {"bq": (3, 4, 2), "bk": (3, 4, 2), "bv": (3, 4, 3)}
    assert {name: array.shape for name, array in arrays.items()} == expected


@pytest.mark.parametrize("kind", [LSA, ELSA])
def test_a_module_trains(kind):
    """Gradient steps lower the loss, move every parameter, and leave the graph as it was."""
    module, batch = make(kind), prompt((8, *SHAPE))
    for name in kind.fields:  # away from the saddle at zero
        getattr(module, name)[...] *= 15.0
    target = prompt((8, *SHAPE), seed=1)
    optimizer = nnx.Optimizer(module, optax.adam(1e-2), wrt=nnx.Param)

    @nnx.jit
    def train_step(module, optimizer):
        loss, gradients = nnx.value_and_grad(lambda m: ((m(batch) - target) ** 2).mean())(module)
        optimizer.update(module, gradients)
        return loss

    before = {name: np.asarray(getattr(module, name)[...]) for name in kind.fields}
    losses = [float(train_step(module, optimizer)) for _ in range(20)]
    assert losses[-1] < losses[1] < losses[0]
    for name, array in before.items():
        assert (np.asarray(getattr(module, name)[...]) != array).all(), name


@pytest.mark.parametrize("kind, symbolic", [(ELSA, BIASED), (ELSA, PLAIN), (LSA, PLAIN)])
def test_from_heads_is_the_sum_of_the_heads(kind, symbolic):
    module, h = kind.from_heads(symbolic, LAYOUT.shape), prompt(LAYOUT.shape)
    expected, bound = sum_of_heads(h, [head.dense(LAYOUT.shape) for head in symbolic])
    assert_within(module(h), expected, bound)
    single = sum(elsa.elsa(h, *head.dense(LAYOUT.shape)) for head in symbolic)
    assert_within(module(h), np.asarray(single), bound)
    assert isinstance(module.wq, nnx.Param)
    assert module.wq.shape[0] == len(symbolic)


def test_from_heads_casts_once_at_the_end():
    scale = 1 / 3
    head = heads.move(LAYOUT, "y", "r", scale=scale)
    for dtype in (jnp.float32, jnp.bfloat16, np.float64):
        module = ELSA.from_heads([head], LAYOUT.shape, dtype=dtype)
        arrays = [getattr(module, name)[...] for name in ELSA.fields]
        assert {array.dtype for array in arrays} == {np.dtype(dtype)}
        assert module.bq[0, 0, 0] == np.asarray(scale, dtype)


def test_weights_are_those_of_the_heads():
    module = ELSA.from_heads(BIASED, LAYOUT.shape)
    for index, head in enumerate(BIASED):
        dense = head.dense(LAYOUT.shape)
        own = HeadWeights(*(array[index] for array in module.weights))
        np.testing.assert_array_equal(own.wv, dense.wv)
        np.testing.assert_array_equal(own.bv, dense.bv)
        np.testing.assert_array_equal(own.wq[:, : head.key_size], dense.wq)
        assert not own.wq[:, head.key_size :].any()
    plain = make(LSA).weights
    assert [array.shape for array in plain[3:]] == [(3, 0, 2), (3, 0, 2), (3, 0, 3)]


def test_lsa_refuses_heads_with_biases():
    message = r"LSA: head 'r \+= -X w' writes constant rows, which needs a bias; use ELSA"
    with pytest.raises(ValueError, match=message):
        LSA.from_heads([*PLAIN, *BIASED], LAYOUT.shape)


@pytest.mark.parametrize("kind", [LSA, ELSA])
def test_no_heads_are_refused(kind):
    with pytest.raises(ValueError, match=f"{kind.__name__}: heads must name at least one head"):
        kind.from_heads([], LAYOUT.shape)


@table("kind", [LSA, ELSA])
@table("shape", [(3,), (), (1, 2, *SHAPE)])
def test_prompts_with_other_axes_are_refused(kind, shape):
    message = rf"{kind.__name__}: the prompt h must have shape \(n, m\) or \(batch, n, m\), got \("
    with pytest.raises(ValueError, match=message):
        make(kind)(np.zeros(shape))


def test_prompts_of_another_size_are_refused():
    with pytest.raises(ValueError, match=r"lsa: wq must have shape \(m=5, p\), got \(3, 2\)"):
        make(LSA)(np.zeros((4, 5)))
    with pytest.raises(ValueError, match=r"elsa: bq must have shape \(n=6, p=2\), got \(4, 2\)"):
        make(ELSA)(np.zeros((2, 6, 3)))


@table("name", ["rows", "channels", "key_size", "num_heads"])
def test_sizes_below_one_are_named(name):
    sizes = {"rows": 2, "channels": 2, "key_size": 2, "num_heads": 2, name: 0}
    with pytest.raises(ValueError, match=f"ELSA: {name} must be at least 1, got 0"):
        ELSA(**sizes, rngs=nnx.Rngs(0))
    if name != "rows":
        del sizes["rows"]
        with pytest.raises(ValueError, match=f"LSA: {name} must be at least 1, got 0"):
            LSA(**sizes, rngs=nnx.Rngs(0))
        with pytest.raises(TypeError, match=rf"LSA: {name} must be an integer, got 2\.0 \(float\)"):
            LSA(**{**sizes, name: 2.0}, rngs=nnx.Rngs(0))


@pytest.mark.parametrize("kind", [LSA, ELSA])
def test_dtype_follows_jax_and_float64_needs_the_switch(kind):
    symbolic = PLAIN if kind is LSA else BIASED
    assert make(kind).wq.dtype == kind.from_heads(symbolic, LAYOUT.shape).wq.dtype == np.float64
    assert make(kind, dtype=jnp.float32).wq.dtype == np.float32
    with jax.enable_x64(False):
        assert nnx.eval_shape(lambda: make(kind)).wq.dtype == np.float32
        module = kind.from_heads(symbolic, LAYOUT.shape)
        assert module.wq.dtype == module(prompt(LAYOUT.shape)).dtype == np.float32
        message = f"{kind.__name__}: dtype float64 was asked for, but jax computes in float32"
        with pytest.raises(ValueError, match=message):
            make(kind, dtype="float64")
        with pytest.raises(ValueError, match=message):
            kind.from_heads(symbolic, LAYOUT.shape, dtype="float64")


@pytest.mark.parametrize("kind", [LSA, ELSA])
def test_dtypes_that_are_not_floating_are_refused(kind):
    with pytest.raises(TypeError, match="dtype must be a floating-point type, got int32"):
        make(kind, dtype=np.int32)


@pytest.mark.parametrize("kind", [LSA, ELSA])
def test_weights_that_are_given_are_not_drawn_first(kind, caplog):
    """Nor where jax computes what it can at once, as where a model is made within jit."""
    shapes = [(7, 3), (7, 3), (7, 7), (5, 3), (5, 3), (5, 7)]
    given = HeadWeights(*(np.ones((2, *shape)) for shape in shapes))
    with jax.log_compiles(), jax.ensure_compile_time_eval():
        kind.from_weights(given)
    compiled = [r.getMessage() for r in caplog.records if "XLA compilation" in r.getMessage()]
    assert not any("normal" in message for message in compiled), compiled

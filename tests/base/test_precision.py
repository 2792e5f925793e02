"""The policy itself: what a caller sets does not reach what is exact, and a choice is a choice."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import elsa
from elsa import models, nn
from elsa.attention import gram
from elsa.base import precision
from elsa.nn import gram_form
from tests.helpers import table
from tests.precision.data import BLOCKS, DIM
from tests.precision.products import HIGHEST, precisions

A = jnp.ones((3, 3))
LOWEST = jax.lax.Precision.DEFAULT


def seen(function, *arrays):
    """The precisions of the products of a function, each once."""
    found = list(precisions(jax.make_jaxpr(lambda *given: function(*given))(*arrays)))
    assert found
    return {side for pair in found for side in (pair if isinstance(pair, tuple) else (pair,))}


def lsa(h):
    return elsa.lsa(h, A, A, A)


@pytest.fixture
def low_config():
    jax.config.update("jax_default_matmul_precision", "bfloat16")
    yield
    jax.config.update("jax_default_matmul_precision", None)


@pytest.mark.parametrize(
    "around",
    [
        lambda f: f,
        jax.jit,
        jax.vmap,
        lambda f: jax.grad(lambda h: f(h).sum()),
        lambda f: jax.jit(jax.grad(jax.jit(lambda h: f(h).sum()))),
    ],
)
def test_an_exact_function_stays_so_within_whatever_the_caller_does(around, low_config):
    given = A[None] if around is jax.vmap else A
    assert seen(around(lsa), given) == {HIGHEST}
    assert seen(around(lambda h: h @ A), given) == {LOWEST}  # as the caller's own product


def test_the_caller_s_own_products_keep_the_caller_s_default():
    with jax.default_matmul_precision("bfloat16"):
        lsa(A)
        assert jax.config.jax_default_matmul_precision == "bfloat16"
        assert seen(lambda h: lsa(h) @ A, A) == {HIGHEST, LOWEST}
    assert jax.config.jax_default_matmul_precision is None
    with pytest.raises(ValueError, match="lsa: wq must have shape"):
        elsa.lsa(A, A[:2], A, A)
    assert jax.config.jax_default_matmul_precision is None


H, LAYERS = jnp.ones((4, 3)), jnp.ones((2, 1, 3, 3))
BIASES = jnp.ones((4, 3)), jnp.ones((4, 3)), jnp.ones((4, 3))
CHOICES = {
    "lsa": lambda **of: elsa.lsa(H, A, A, A, **of),
    "elsa": lambda **of: elsa.elsa(H, A, A, A, *BIASES, **of),
    "context_gram": lambda **of: gram.context_gram(H, H[:, 0], **of),
    "right_multiplier": lambda **of: gram.right_multiplier(A, LAYERS[0], LAYERS[0], **of),
    "run_layers": lambda **of: gram.run_layers(A, A[0], LAYERS, LAYERS, **of),
}


@table("name", CHOICES)
def test_precision_is_an_argument_of_the_pure_functions(name):
    function = CHOICES[name]
    with jax.default_matmul_precision("high"):
        assert seen(function) == {HIGHEST}
        assert seen(lambda: function(precision="default")) == {LOWEST}
    known = r"must be one of \['highest', 'high', 'default'\], got 'fast'"
    with pytest.raises(ValueError, match=f"{name}: precision {known}"):
        function(precision="fast")


@table("name", models.MODELS)
def test_precision_is_an_argument_of_every_model(name):
    assert (
        inspect.signature(models.MODELS[name].__init__).parameters["precision"].default == "highest"
    )
    small = {"gpt2": {"width": 4, "depth": 1, "num_heads": 1}, "linear_transformer": {"depth": 2}}
    own = {"low_rank_attention": {"rank": 1}, "lora_attention": {"rank": 1, "base_weight": A}}
    blocks = {"blocks": {"A": (DIM, DIM), "B": (DIM, DIM)}, "target_shape": (DIM, DIM)}
    own |= {"block_lsa": blocks, "block_elsa": blocks}
    sizes = {"dim": 3, "context_length": 4}

    def build(**options):
        named = {"name": name, **small.get(name, {}), **own.get(name, {})}
        return models.build(named, rngs=nnx.Rngs(0), **sizes, **options)

    x, query = np.ones((2, 4, 3)), np.ones((2, 3))
    prompt = elsa.tasks.Prompt(x, x[..., 0], query, query[:, 0])
    if name in ("block_lsa", "block_elsa"):
        prompt = BLOCKS
    reads = ("preconditioner", "query_key", "w_mlp")

    def read(model):
        return [getattr(model, reading) for reading in reads if hasattr(type(model), reading)]

    predicted = seen(lambda: build(precision="default")(prompt))
    assert LOWEST in predicted
    products = list(precisions(jax.make_jaxpr(lambda: read(build(precision="default")))()))
    assert all(sides == (HIGHEST, HIGHEST) for sides in products)  # what is read is exact
    with pytest.raises(ValueError, match=r"precision must be one of .*, got 'fast'"):
        build(precision="fast")


def test_layers_have_a_precision_and_a_gram_form_has_theirs():
    def stack(*of):
        layers = [nn.LSA(3, 2, precision=each, rngs=nnx.Rngs(0)) for each in of]
        return nn.Stack(layers[-1:], 2, prologue=layers[:-1])

    for form in ("direct", "gram"):
        assert seen(lambda form=form: stack("default", "default")(H, form=form)) == {LOWEST}
        assert seen(lambda form=form: stack("highest")(H, form=form)) == {HIGHEST}
    mixed = stack("highest", "default")
    assert seen(lambda: mixed(H, form="auto")) == {HIGHEST, LOWEST}
    with pytest.raises(ValueError, match=r"several precisions, \['default', 'highest'\]"):
        mixed(H, form="gram")
    assert gram_form.obstacle([*mixed.prologue, *mixed.prologue], "residual") == ""
    with pytest.raises(ValueError, match="ELSA: precision must be one of"):
        nn.ELSA(4, 3, 2, precision="low", rngs=nnx.Rngs(0))


def test_a_decorated_function_keeps_its_name_and_its_signature():
    @precision.exact
    def product(a, *, b=None):
        """a b"""
        return a @ b

    assert (product.__name__, product.__doc__) == ("product", "a b")
    assert str(inspect.signature(product)) == "(a, *, b=None)"


def test_a_step_is_plain_jax_at_its_caller_s_precision_until_it_is_compiled():
    step = elsa.algorithms.gradient_descent(0.1)
    given = {"X": H, "y": H[:, :1], "lam": A[:1, :1], "w": A[:, :1]}
    stack = elsa.compile(step, {name: block.shape for name, block in given.items()}, depth=2)
    with jax.default_matmul_precision("bfloat16"):
        assert seen(lambda: step(**given)) == {LOWEST}
        assert seen(lambda: stack(**given)) == {HIGHEST}

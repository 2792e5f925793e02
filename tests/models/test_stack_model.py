"""Stacks as trained models: every architecture, layout, start and depth, against other means."""

import itertools

import jax
import numpy as np
import pytest
from flax import nnx

from elsa import exchange, models, predictors, tasks
from elsa.base.known_names import INITS, LAYOUTS
from elsa.models import starts
from tests.helpers import wide

N, D, BATCH, LAM, ETA = 6, 3, 4, 0.4, 0.3
DEPTHS = (0, 1, 2, 5)
BOXES = {
    "X": (1, 2, N, D),
    "y": (1, 0, N, 1),
    "lam": (0, 1, 1, 1),
    "w": (1, 6, D, 1),
    "query_x": (0, 7, 1, D),
    "prediction": (0, 11, 1, 1),
}
CLASSES = {"lsa": models.LSAModel, "elsa": models.ELSAModel}
BUILT = {  # what can be built
    *(("lsa", layout, "construction") for layout in ("stacked", "designed", "source")),
    *(("elsa", layout, "construction") for layout in ("stacked", "designed", "source", "natural")),
    ("elsa", "natural", "compiled"),
    ("elsa", "custom", "construction"),
}
CASES = list(itertools.product(CLASSES, LAYOUTS, INITS))


def prompt_of(n=N, seed=0, dtype=np.float64):
    task = tasks.LinearRegression(dim=D, context_length=n, noise_var=0.2)
    drawn = task.sample(jax.random.key(seed), BATCH)
    return jax.tree.map(lambda part: part.astype(dtype), drawn)


def model_of(name, layout, init, depth, **own):
    options = {"layout": layout, "init": init, "lam": LAM, "step_size": ETA, **own}
    if layout == "custom":
        boxes = dict(BOXES)
        if init != "random":
            del boxes["prediction"]  # the stack appends its own
        options |= {"boxes": boxes, "biases": "position"}  # rows of the construction are others
    return CLASSES[name](D, N, depth, **options, rngs=nnx.Rngs(0))


def run(function, prompt):
    """Under jit: eagerly, every operation of it would be a program of its own."""
    return jax.jit(lambda given: function(given))(prompt)


def descent(prompt, steps, lam):
    """Predictions and weights of gradient descent on the mean, in float64 NumPy."""
    x, y, query = (np.asarray(part, np.float64) for part in prompt[:3])
    n, w, path = x.shape[1], np.zeros((len(x), x.shape[2])), []
    for _ in range(steps + 1):
        path.append(w)
        residual = np.einsum("bnd,bd->bn", x, w) - y
        w = w - ETA * (np.einsum("bnd,bn->bd", x, residual) + lam * w) / n
    return np.einsum("bd,tbd->tb", query, np.stack(path)), np.stack(path)


KEPT = [
    *(("lsa", layout, "construction") for layout in ("stacked", "source")),
    *(("elsa", layout, "construction") for layout in ("designed", "natural", "custom")),
    ("elsa", "natural", "compiled"),
]


@pytest.mark.parametrize("dtype", wide(["float64", "float32"], keep=["float64"]))
@pytest.mark.parametrize("name, layout, init", wide(sorted(BUILT), keep=KEPT))
def test_a_built_stack_is_gradient_descent_after_every_step(name, layout, init, dtype):
    prompt, depth = prompt_of(dtype=dtype), DEPTHS[-1]
    model = model_of(name, layout, init, depth, dtype=dtype)
    predicted, found = jax.jit(lambda p: (model(p), model.by_layer(p)))(prompt)
    steps = slice(len(model.stack.prologue), None, len(model.stack.body))
    predictions, weights = descent(prompt, depth, 0.0 if layout == "stacked" else LAM)
    scale = 1e-12 if dtype == "float64" else 1e-5
    np.testing.assert_allclose(found.prediction[steps], predictions, atol=scale)
    np.testing.assert_allclose(predicted, predictions[-1], atol=scale)
    if found.w is not None:
        np.testing.assert_allclose(found.w[steps], weights, atol=scale)
    assert (found.w is None) == (layout == "stacked")


SEEN = [
    *(("lsa", "stacked", "random"), ("elsa", "custom", "random"), ("elsa", "transposed", "random")),
    *(case for case in CASES if case[2] != "random"),
]


@pytest.mark.parametrize("name, layout, init", wide(CASES, keep=SEEN))
def test_every_combination_is_built_at_every_depth_or_refused_with_what_can(name, layout, init):
    if init == "random" or (name, layout, init) in BUILT:
        for depth in DEPTHS:  # with weights of their own for each layer: test_train_table.py
            found = jax.eval_shape(
                lambda p, d=depth: model_of(name, layout, init, d, tied=True)(p), prompt_of()
            )
            assert found.shape == (BATCH,)
        return
    with pytest.raises(ValueError, match=r"needs a layout out of|'elsa' takes and 'lsa' does not"):
        model_of(name, layout, init, 1)


def test_random_layers_are_the_formula():
    """Against NumPy, from the prompt on: H + sum over heads, biases by role."""
    prompt = prompt_of()
    model = model_of("elsa", "stacked", "random", 2, num_heads=2, key_size=2, init_scale=1.0)
    weights = [np.asarray(getattr(model.stack.body[0], f)[...]) for f in model.stack.body[0].fields]
    states, predicted, by_layer = run(
        lambda p: (model.hidden_states(p), model(p), model.by_layer(p)), prompt
    )
    role = np.zeros((N + 1, 2))
    role[:N, 0], role[N, 1] = N**-0.5, 1.0
    h = np.zeros((BATCH, N + 1, 2 * D + 2))
    h[:, :N, :D], h[:, :N, 2 * D] = prompt.x / N**0.5, prompt.y / N**0.5
    h[:, N, D : 2 * D] = prompt.query_x
    np.testing.assert_allclose(states[0], h, atol=1e-14)
    for layer in range(2):
        q, k, v, bq, bk, bv = (w[layer] for w in weights)
        added = sum(
            (h @ q[i] + role @ bq[i])
            @ (h @ k[i] + role @ bk[i]).swapaxes(1, 2)
            @ (h @ v[i] + role @ bv[i])
            for i in range(2)
        )
        h = h + added
        np.testing.assert_allclose(states[layer + 1], h, atol=1e-12)
    np.testing.assert_allclose(predicted, h[:, N, -1], atol=1e-12)
    np.testing.assert_allclose(by_layer.prediction[1], states[1][:, N, -1], atol=1e-12)


@pytest.mark.parametrize(
    "layout", wide(["stacked", "natural", "designed", "source"], keep=["natural"])
)
def test_another_context_length_is_normalised_by_its_own(layout):
    """A built stack stays gradient descent on the mean at every length, absent examples or not."""
    model = model_of("elsa", layout, "construction", 2)
    lam = 0.0 if layout == "stacked" else LAM
    found = jax.jit(lambda given: model(given))  # one program for each length
    for n in (2, 9):
        prompt = prompt_of(n)
        np.testing.assert_allclose(found(prompt), descent(prompt, 2, lam)[0][-1], atol=1e-12)
    longer, cut = prompt_of(9), tasks.keep_last(prompt_of(9), 2)
    short = longer._replace(x=np.asarray(longer.x)[:, -2:], y=np.asarray(longer.y)[:, -2:])
    np.testing.assert_allclose(found(cut), found(short), atol=1e-12)
    fixed = model_of("elsa", layout, "construction", 2, biases="position")
    np.testing.assert_allclose(run(fixed, prompt_of()), found(prompt_of()), atol=1e-12)
    with pytest.raises(ValueError, match="the 6 examples that biases='position' fixes, got 9"):
        fixed(longer)


@pytest.mark.parametrize(
    "case", [("elsa", "natural", "construction"), ("elsa", "stacked", "random")]
)
def test_a_model_is_a_stack_between_blocks(case, tmp_path):
    """With biases by position, for every length that it can be run on, and as a file."""
    model, n = model_of(*case, 2), 9
    prompt, stack = prompt_of(n), models.block_stack(model, n)
    x, y, query_x = (np.asarray(part) for part in prompt[:3])
    blocks = {"X": x[0] / n**0.5, "y": y[0, :, None] / n**0.5}
    blocks |= {"query_x": query_x[:1]} | ({"lam": LAM / n} if "lam" in stack.inputs else {})
    predicted, states = run(lambda p: (model(p), model.hidden_states(p)), prompt)
    np.testing.assert_allclose(stack(**blocks)["prediction"][0, 0], predicted[0], atol=1e-12)
    np.testing.assert_allclose(stack.prompts(**blocks), states[:, 0], atol=1e-12)
    exchange.export(stack, tmp_path / "stack.safetensors")
    read = exchange.load(tmp_path / "stack.safetensors")
    np.testing.assert_allclose(read(**blocks)["prediction"], stack(**blocks)["prediction"], atol=0)


def test_newton_schulz_reaches_ridge_in_a_few_steps():
    prompt = prompt_of(9)
    model = model_of("elsa", "natural", "compiled", 9, algorithm="newton_schulz_ridge")
    np.testing.assert_allclose(run(model, prompt), predictors.ridge(prompt, LAM), rtol=1e-9)


def test_noise_is_added_to_every_weight_and_none_to_what_is_exact():
    exact, noisy = (
        model_of("elsa", "natural", "construction", 1, noise=noise) for noise in (0.0, 0.1)
    )
    gaps = jax.tree.map(lambda a, b: a - b, *(nnx.state(m.stack) for m in (noisy, exact)))
    drawn = np.concatenate([np.ravel(gap) for gap in jax.tree.leaves(gaps)])
    assert np.all(drawn != 0) and abs(drawn.std() / 0.1 - 1.0) < 5 / np.sqrt(2 * drawn.size)


def test_a_noise_that_all_models_of_a_program_share_is_a_number_within_it():
    """A sweep over one noise holds it as an array of jax, concrete also while it is traced."""
    none = jax.numpy.zeros(())
    model_of("elsa", "natural", "construction", 1, noise=none)
    jax.eval_shape(lambda: model_of("elsa", "natural", "construction", 1, noise=none)(prompt_of()))


def test_a_model_without_layers_of_its_own_counts_as_one():
    prompt = prompt_of()
    one = models.LinearAttention(D, scale=1 / N, rngs=nnx.Rngs(0))
    found = models.by_layer(one, prompt)
    assert found.w is None and not np.any(found.prediction[0])
    np.testing.assert_array_equal(found.prediction[1], one(prompt))


@pytest.mark.parametrize("name", ["linear transformer", "block", "gpt2"])
def test_the_prediction_after_the_last_layer_is_the_model_s(name):
    prompt = prompt_of()
    made = {
        "linear transformer": lambda: models.LinearTransformer(D, 2, scale=1 / N, rngs=nnx.Rngs(0)),
        "block": lambda: models.LinearTransformerBlock(D, 2, rngs=nnx.Rngs(0)),
        "gpt2": lambda: models.GPT2(D, N, width=8, depth=2, rngs=nnx.Rngs(0)),
    }
    model = made[name]()
    found, predicted = run(lambda p: (models.by_layer(model, p).prediction, model(p)), prompt)
    assert found.shape == (3, BATCH)
    np.testing.assert_allclose(found[-1], predicted, rtol=1e-12)


REFUSED = {
    "layout": ({"layout": "sideways"}, "layout must be one of"),
    "init": ({"init": "magic"}, "init must be one of"),
    "biases": ({"biases": "none"}, "biases must be one of"),
    "algorithm": ({"init": "construction", "algorithm": "adam"}, "algorithm must be one of"),
    "boxes": ({"layout": "custom"}, "boxes and layout='custom' need each other"),
    "noise": ({"noise": -1.0}, "noise must be"),
    "depth": ({"depth": -1}, "depth must be"),
    "tied": ({"tied": 1}, "tied must be"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_makes_no_model_is_refused_by_name(case):
    changed, message = REFUSED[case]
    arguments = {"depth": 1, "layout": "stacked", **changed}
    with pytest.raises((ValueError, TypeError), match=message):
        models.ELSAModel(D, N, **arguments, rngs=nnx.Rngs(0))


def test_every_name_of_a_start_is_known():
    assert {layout for _, layout, init in BUILT if init == "construction"} == set(
        starts.CONSTRUCTIONS
    )

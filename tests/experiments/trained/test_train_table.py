"""Every architecture on every layout at every depth is its formula, or refused with what can.

The table is the config's own: each entry is what the command line builds. The formulas are
`tests/experiments/trained/formulas.py`, which shares no code with the models.
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from configs import train as config_file
from elsa import models, tasks, training
from elsa.models import readout
from elsa.prompts import BlockLayout, packing
from elsa.prompts.roles import role_indicator
from elsa.training.setup import bare_program
from experiments.harness import command_line
from experiments.trained import architecture_table, measure, plain, ridge_distance, train
from tests.experiments.trained import formulas
from tests.helpers import wide
from tests.models.test_stack_model import BOXES, DEPTHS, D, N

BATCH, LAM, ETA = 5, 0.4, 0.3
LAYOUTS = ("stacked", "stacked_roles", "natural", "designed", "source", "transposed", "custom")
STARTS = {  # model.init and model.algorithm -> what it computes
    "random": None,
    "construction": formulas.descent,
    "construction ridge_elsa_one_layer": formulas.descent,
    "compiled gradient_descent": formulas.descent,
    "compiled newton_schulz_ridge": formulas.newton_schulz,
}
BUILT = {  # architecture, start -> layouts
    ("lsa", "construction"): {"stacked", "designed", "source"},
    ("elsa", "construction"): {"stacked", "natural", "designed", "source", "custom"},
    ("elsa", "construction ridge_elsa_one_layer"): {"natural", "custom"},
    ("elsa", "compiled gradient_descent"): {"natural"},
    ("elsa", "compiled newton_schulz_ridge"): {"natural"},
}
OF_RANDOM = {"lsa": ("num_heads", "key_size"), "elsa": ("num_heads", "key_size")}
OF_RANDOM |= {"linear_transformer": ("num_heads",), "gpt2": ("num_heads", "width")}
SIZES = {"num_heads": 2, "key_size": 2, "width": 6}
HOLDS_W = {"natural", "designed", "source", "custom"}


def can(architecture, layout, depth, start):
    """Whether there is such a model, as the documentation says."""
    if architecture in ("lsa", "elsa"):
        return start == "random" or layout in BUILT.get((architecture, start), ())
    only = depth == 1 if architecture in ("linear_attention", "h3", "softmax") else depth >= 1
    return layout == "stacked" and start == "random" and only


TABLE = list(itertools.product(formulas.FORMULAS, LAYOUTS, DEPTHS, STARTS))
CAN = [entry for entry in TABLE if can(*entry)]
RETURNS_W = [entry for entry in CAN if entry[0] in ("lsa", "elsa") and entry[1] in HOLDS_W]
QUICK = [  # every architecture, and every kind of start, layout and depth
    *((name, "stacked", 1, "random") for name in ("linear_attention", "h3", "softmax")),
    *((name, "stacked", 2, "random") for name in ("linear_transformer", "block", "gpt2")),
    *(("elsa", layout, 2, "random") for layout in ("natural", "transposed")),
    ("lsa", "designed", 0, "random"),
    ("elsa", "custom", 1, "construction"),
]


def config_of(architecture, layout, depth, start, dtype="float64"):
    """The config that a command line asks for."""
    init, _, algorithm = start.partition(" ")
    boxes = {name: box for name, box in BOXES.items() if init == "random" or name != "prediction"}
    words = {
        **{"task.dim": D, "task.context_length": N, "task.noise_var": 0.2, "prompt.lam": LAM},
        **{"dtype": dtype, "train.num_steps": 0, "watch_prompts": BATCH, "num_seeds": 1},
        **{"model.architecture": architecture, "model.depth": depth, "prompt.layout": layout},
        **{"model.init": init, "model.algorithm": algorithm},
    }
    if architecture in ("lsa", "elsa"):
        words["model.step_size"] = ETA
    if layout == "custom":
        said = "; ".join(" ".join(map(str, (name, *box))) for name, box in boxes.items())
        words["prompt.boxes"] = said
        if architecture == "elsa":
            words["model.biases"] = "position"
    if init == "random":
        words |= {f"model.{key}": SIZES[key] for key in OF_RANDOM.get(architecture, ())}
    config = config_file.get_config("quick").lock()
    overrides = [f"--config.{key}={value}" for key, value in words.items()]
    command_line.apply_overrides(config, overrides)
    return config


def model_of(config, *, as_drawn):
    """What the config builds, and its settings; with larger weights unless `as_drawn`."""
    (case,) = train.cases(config).values()
    program = bare_program(training.RunSettings.from_config(measure.settings_of(config, case)))
    if as_drawn or config.model.init != "random":
        return program.model(program.init(), 0, 0), case["model"]
    rng = np.random.default_rng(0)
    graph, shapes = nnx.split(program.bare())
    # large enough that no part of it can go unseen, small enough for five cubic layers
    drawn = jax.tree.map(lambda a: jnp.asarray(0.25 * rng.normal(size=a.shape), a.dtype), shapes)
    return nnx.merge(graph, drawn), case["model"]


def prompt_of(dtype):
    rng = np.random.default_rng(1)
    parts = [rng.normal(size=shape) for shape in ((BATCH, N, D), (BATCH, N), (BATCH, D), (BATCH,))]
    return tasks.Prompt(*(jnp.asarray(part, dtype) for part in parts))


def expected(model, prompt, architecture, layout, depth, start):
    """Predictions [steps + 1, batch] and weights [steps + 1, batch, d], and ridge's own."""
    x, y, query = (np.asarray(part, np.float64) for part in prompt[:3])
    told = {"layout": layout, "lam": LAM, "eta": ETA, "boxes": BOXES}
    found, formula = [], STARTS[start]
    for one in zip(x, y, query, strict=True):
        if formula is None:
            found.append(formulas.FORMULAS[architecture](model, *one, **told))
        else:  # least squares, where the prompt does not tell the regulariser
            lam = 0.0 if layout == "stacked" else LAM
            found.append(formula(*one, depth, lam=lam, eta=ETA))
    predictions, weights = zip(*found, strict=True)
    has_w = layout in HOLDS_W and architecture in ("lsa", "elsa")
    ridge = np.array([formulas.ridge(X, labels, LAM) for X, labels in zip(x, y, strict=True)])
    return (
        np.transpose(predictions),
        np.swapaxes(weights, 0, 1) if has_w else None,
        (np.einsum("bd,bd->b", query, ridge), ridge),
    )


def holds(entry, dtype="float64", *, as_drawn=False):
    """That an entry of the table is its formula: predictions, weights, distances to ridge."""
    *_, start = entry
    config, prompt = config_of(*entry, dtype=dtype), prompt_of(dtype)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ridge_distance, "prompts", lambda *_: prompt)
        with jax.enable_x64(dtype == "float64"):
            model, settings = model_of(config, as_drawn=as_drawn)
            beside = plain.beside(settings, LAM, ETA)
            look = ridge_distance.watch(0, BATCH, LAM, beside)
            seen = jax.jit(lambda p: (model(p), models.by_layer(model, p), look(model, None)))
            last, by_layer, watched = jax.tree.map(np.asarray, seen(prompt))
    assert {last.dtype, by_layer.prediction.dtype} == {np.dtype(dtype)}
    predictions, weights, (ridge, best) = expected(model, prompt, *entry)
    layers = list(range(len(by_layer.prediction)))
    if start != "random":
        first, period = len(model.stack.prologue), len(model.stack.body)
        layers = [first + period * step for step in range(model.stack.depth + 1)]
    skip = beside.first if start != "random" else 0  # Newton-Schulz has no w before its first step
    kept = slice(skip, None)
    scale = 1e-11 if dtype == "float64" else 2e-5
    close = {"rtol": scale, "atol": scale * max(1.0, np.abs(predictions).max())}
    np.testing.assert_allclose(by_layer.prediction[layers][kept], predictions[kept], **close)
    np.testing.assert_allclose(last, predictions[-1], **close)
    assert (by_layer.w is None) == (weights is None)
    for step in range(skip, len(layers)):
        gaps = {f"ridge/{layers[step]}": (predictions[step] - ridge, ridge)}
        if weights is not None:
            np.testing.assert_allclose(by_layer.w[layers[step]], weights[step], **close)
            gaps[f"w/{layers[step]}"] = (weights[step] - best, best)
        for name, (gap, whole) in gaps.items():
            distance = np.linalg.norm(gap) / np.linalg.norm(whole)
            np.testing.assert_allclose(watched[name], distance, rtol=10 * scale, err_msg=name)
    assert weights is not None or not any(name.startswith("w/") for name in watched)


def named(entry):
    return "-".join(map(str, entry)).replace(" ", "-")


@pytest.mark.parametrize("entry", QUICK, ids=named)
def test_what_is_built_is_its_formula(entry):
    holds(entry)


def test_in_single_precision_too():
    holds(("lsa", "designed", 2, "random"), "float32")


@pytest.mark.slow  # a minute of CPU time
@pytest.mark.parametrize("entry", [entry for entry in CAN if entry not in QUICK], ids=named)
def test_all_that_is_built_is_its_formula(entry):
    holds(entry)


@pytest.mark.slow  # a minute of CPU time
@pytest.mark.parametrize("entry", RETURNS_W, ids=named)
def test_where_there_is_w_its_distance_to_ridge_is_right_in_single_precision(entry):
    holds(entry, "float32", as_drawn=True)


def refused(entries):
    """That each entry is refused with the one list of what can be built."""
    listed = architecture_table.what_can()
    for entry in entries:
        with pytest.raises(ValueError, match="What can be built") as error:
            train.check(config_of(*entry))
        assert str(error.value).endswith(listed), entry


CANNOT = [entry for entry in TABLE if entry not in CAN]


def test_some_of_all_else_is_refused_with_the_list_of_what_can():
    refused(CANNOT[::97])


@pytest.mark.slow  # a minute of CPU time
def test_all_else_is_refused_with_the_list_of_what_can():
    assert len(CANNOT) > 900
    refused(CANNOT)


def _other_sign(patch):
    """The label's channel is read with the wrong sign."""
    patch.setattr("elsa.models.readout.from_residual_stream", lambda rows: readout.from_block(rows))


def _other_normaliser(patch):
    """X and y are divided by sqrt(n + 1)."""

    def packed(form, roles, x, y, query_x, **others):
        share = np.sqrt(len(x) / (len(x) + 1))
        return packing.packed(form, roles, share * x, share * y, query_x, **others)

    patch.setattr("elsa.models.stack_model.packed", packed)


def _other_block(patch):
    """The weights are read from the rows of the residual."""
    block = BlockLayout.block

    def read(layout, h, name):
        return block(layout, h, "residual")[:D] if name == "w" else block(layout, h, name)

    patch.setattr(BlockLayout, "block", read)


def _other_row(patch):
    """Biases of the query's row are those of the examples."""
    indicator = role_indicator

    def swapped(roles, known):
        return indicator(roles, known)[:, ::-1]

    patch.setattr("elsa.prompts.packing.role_indicator", swapped)


MUTATIONS = {
    _other_sign: ("linear_transformer", "stacked", 1, "random"),
    _other_normaliser: ("lsa", "stacked", 1, "random"),
    _other_block: ("elsa", "natural", 1, "random"),
    _other_row: ("elsa", "stacked", 1, "random"),
}


@pytest.mark.parametrize(
    "mutation",
    wide(MUTATIONS, keep=[_other_sign, _other_block]),
    ids=lambda each: each.__name__[1:],
)
def test_a_wrong_model_fails_the_table(mutation, monkeypatch):
    mutation(monkeypatch)
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        holds(MUTATIONS[mutation])

"""The experiment on the prompt's format: its theory, the equality of shuffles, what it trains."""

import io
import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from rich.console import Console

from configs import trained_format as config_file
from elsa import models, tasks
from elsa.nn import LSA, Stack
from experiments.harness import engine
from experiments.trained import measure, shuffling, trained_format
from tests.helpers import table

N, D = 5, 3
SHUFFLED = {
    "y": (1, 0, N, 1),
    "query_x": (0, 1, 1, D),
    "prediction": (0, D + 1, 1, 1),
    "X": (1, D + 2, N, D),
}


def predicted(run):
    config = config_file.get_config()
    config.bayes_samples = 2_000
    case = measure.cases(config)[run]
    ((_, found),) = measure.predictions(config, case, trained_format.predict)
    return found


@table(
    "run, target",
    [
        ("plain_stacked_lsa", 1.1127),
        ("plain_natural_lsa", 1.1127),
        ("plain_transposed_lsa", 1.4436),
        ("mean_stacked_elsa", 1.0668),
        ("mean_stacked_lsa_5_heads", 1.0668 + 8 / 72),
        ("mean_stacked_lsa_masked", 1.8007),
    ],
)
def test_theory_of_one_layer_follows_the_format(run, target):
    assert predicted(run)["target"] == pytest.approx(target, abs=3e-4)


def test_lines_of_theory_say_what_a_mask_of_the_query_costs_and_what_more_layers_may_reach():
    lines = predicted("mean_stacked_lsa")["lines"]
    assert lines[trained_format.ONE_MASKED] == pytest.approx(1.8007, abs=1e-4)
    assert lines[trained_format.MASKED] == pytest.approx(1.1880, abs=1e-4)
    assert lines[trained_format.HEADS] < lines[trained_format.MASKED]
    deep = predicted("two_layers_stacked_lsa")
    assert deep["target"] == deep["lines"][trained_format.BAYES] < 0.5


def test_blocks_elsewhere_with_their_weights_give_the_same_answers():
    prompt = tasks.LinearRegression(D, N, 0.1).sample(jax.random.key(0), 4)
    options = {"num_heads": 2, "key_size": 4, "init_scale": 1.0}
    model = models.LSAModel(D, N, 2, **options, rngs=nnx.Rngs(0))
    target = models.LSAModel(D, N, 2, layout="custom", boxes=SHUFFLED, **options, rngs=nnx.Rngs(1))
    before = np.asarray(model(prompt))
    assert np.abs(target(prompt) - before).max() > 1e-3
    np.testing.assert_allclose(shuffling.moved(model, target)(prompt), before, atol=1e-13)
    with pytest.raises(ValueError, match="moved: biases lie in rows"):
        shuffling.moved(model, models.ELSAModel(D, N, 2, rngs=nnx.Rngs(0)))


def trained_losses(order, steps=8):
    """Losses of two layers of LSA on prompts whose channels have another order, from weights that
    have it, too: clipped Adam, in float64."""
    rng = np.random.default_rng(0)
    m, n, batch = 7, 5, 6
    stack = Stack.untied(lambda rngs: LSA(m, 4, 2, init_scale=0.4, rngs=rngs), 2, rngs=nnx.Rngs(0))
    graph, state = nnx.split(stack)
    state = jax.tree.map_with_path(
        lambda path, leaf: leaf[..., order, :][..., order if "wv" in str(path) else slice(None)],
        state,
    )
    transform = optax.chain(optax.clip_by_global_norm(1.0), optax.scale_by_adam(b2=0.99))
    place = int(np.flatnonzero(order == m - 1)[0])  # of the answer

    @jax.jit
    def step(state, optimizer, h, target):
        def loss(weights):
            out = nnx.merge(graph, weights)(h[:, :, order])
            return jnp.mean((out[:, -1, place] - target) ** 2)

        value, gradient = jax.value_and_grad(loss)(state)
        updates, optimizer = transform.update(gradient, optimizer, state)
        return jax.tree.map(lambda w, u: w - 0.01 * u, state, updates), optimizer, value

    optimizer, losses = transform.init(state), []
    for _ in range(steps):
        h = rng.normal(size=(batch, n, m)) / n**0.5
        state, optimizer, value = step(state, optimizer, h, rng.normal(size=batch))
        losses.append(float(value))
    return np.array(losses)


def test_a_shuffle_of_the_channels_changes_no_loss():
    plain = trained_losses(np.arange(7))
    shuffled = trained_losses(np.random.default_rng(1).permutation(7))
    np.testing.assert_allclose(shuffled, plain, rtol=1e-11)
    assert np.ptp(plain) > 1e-2


def test_a_shuffled_run_has_the_one_seed_that_it_is_compared_with():
    for mode in ("full", "quick"):
        config = config_file.get_config(mode)
        for case in measure.cases(config).values():
            settings = measure.settings_of(config, case)
            assert settings["num_seeds"] == (1 if "like" in case else config.num_seeds)


def test_the_figure_has_a_panel_for_every_question():
    config = config_file.get_config()
    config.bayes_samples = 2_000
    records = []
    for case in measure.cases(config).values():
        ((point, found),) = measure.predictions(config, case, trained_format.predict)
        risks = np.full(3, 1.01 * found["target"])
        record = measure.record_of(case, point, found, risks, 0.01 * risks)
        own = {"panel": case["panel"], "format": case["format"]}
        own["series"] = case["model"]["name"] + (", shuffled" if "like" in case else "")
        records.append({**record, **own, **({"shuffle_gap": 1e-7} if "like" in case else {})})
    summary = trained_format.summarise(config, records)
    assert summary["shuffle_gap"] == 1e-7
    (made,) = trained_format.tables(summary)
    assert "first seed: the same within 1.0e-07" in str(made.caption)
    axes = trained_format.figures(config, records, summary)["risk"].axes
    assert [len(one.get_xticks()) for one in axes] == [4, 3, 2]
    theory = [[t for t in one.lines if "theory" in str(t.get_label())] for one in axes]
    assert [len(lines) for lines in theory] == [2, 4, 2]


def _run(config, folder):
    screen = Console(file=io.StringIO(), width=140)
    engine.run(trained_format.EXPERIMENT, config, folder, screen=screen)
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return {record["run"]: record for record in map(json.loads, lines)}


@pytest.mark.slow
def test_a_quick_run_has_equal_losses_and_comes_back(tmp_path):
    found = _run(config_file.get_config("quick"), tmp_path)
    shuffled, like = found["plain_stacked_lsa_shuffled"], found["plain_stacked_lsa"]
    assert shuffled["shuffle_gap"] < 1e-4
    assert shuffled["risks"] == pytest.approx(like["risks"][:1], rel=1e-4)  # of every seed it has
    assert (tmp_path / "figures" / "risk.png").stat().st_size > 0
    assert _run(config_file.get_config("quick"), tmp_path) == found


@pytest.mark.slow
def test_one_layer_reaches_the_best_step_of_its_format(tmp_path):
    config = config_file.get_config()
    for run in set(config.runs) - {
        *("plain_stacked_lsa", "plain_stacked_lsa_shuffled", "plain_stacked_elsa"),
        *("plain_transposed_lsa", "plain_transposed_elsa"),
    }:
        del config.runs[run]
    found = _run(config, tmp_path)
    for run, record in found.items():
        errors = 4 * record["evaluation_error"]
        target = 1.1127 if "stacked" in run else 1.4436
        assert abs(record["risk"] - target) < 0.02 * target + errors, (run, record["risks"])
    assert found["plain_stacked_lsa_shuffled"]["shuffle_gap"] < 1e-3

"""The four experiments about a prior mean in quick mode, and what they refuse."""

import io
import json

import jax
import pytest
from flax import nnx
from rich.console import Console

from configs import block_vs_attention, gd_beta_flow, mlp_ablation, prior_mean_gap
from elsa import models, training
from experiments.harness import engine
from experiments.harness.experiment import RunError
from experiments.trained import block_vs_attention as along_training
from experiments.trained import gd_beta_flow as flow
from experiments.trained import measure, prior_mean
from experiments.trained import mlp_ablation as ablation
from experiments.trained import prior_mean_gap as gap
from tests.helpers import table

CONFIGS = {
    along_training: block_vs_attention,
    flow: gd_beta_flow,
    ablation: mlp_ablation,
    gap: prior_mean_gap,
}


@pytest.fixture(scope="module", autouse=True)
def compiles_fast():
    """Models this small take longer to compile than to train."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


def run(driver, folder, **changes):
    """Summary, records and what was printed."""
    config = CONFIGS[driver].get_config("quick")
    config.update_from_flattened_dict(changes)
    screen = Console(file=io.StringIO(), width=140)
    summary = engine.run(driver.EXPERIMENT, config, folder, screen=screen)
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return summary, [json.loads(line) for line in lines], screen.file.getvalue()


@pytest.mark.slow
def test_a_block_becomes_one_step_from_the_mean_and_attention_stays_above(tmp_path):
    summary, records, printed = run(along_training, tmp_path)
    by_model = {record["model"]: record for record in records}
    block, attention = by_model["linear_transformer_block"], by_model["linear_attention"]
    # one-sided and loose: two seeds, 800 steps, 20,000 prompts of standard error 1 %
    assert block["best_excess"] <= 0.08 and attention["best_excess"] <= 0.08
    assert min(attention["risks"]) > 2.0 * min(block["risks"])
    assert block["lines"]["Bayes"] < block["target"] < attention["target"]
    assert block["read_back"]["init_distance"] <= 0.1
    assert sum(block["shares"].values()) == pytest.approx(1.0)
    assert summary["largest_init_distance"] == block["read_back"]["init_distance"]
    assert "along_training" not in summary["rows"][0] and "residual" in printed
    for name in ("risk", "read_back"):
        assert (tmp_path / "figures" / f"{name}.png").is_file()


@pytest.mark.slow
def test_the_gap_grows_with_the_mean_as_predicted(tmp_path):
    summary, _, printed = run(gap, tmp_path)
    gaps = {(round(g["mean_norm"]), g["context_length"]): g for g in summary["gaps"]}
    assert set(gaps) == {(1, 5), (1, 20), (3, 5), (3, 20)}
    for length in (5, 20):
        assert gaps[3, length]["theory"] > gaps[1, length]["theory"] > 0.0
        assert gaps[3, length]["gap"] > gaps[1, length]["gap"] > 0.0
    assert "attention alone cannot close" in printed
    assert (tmp_path / "figures" / "gap.png").is_file()


def test_every_flow_ends_at_the_minimum_at_the_rate_of_the_hessian(tmp_path):
    summary, records, _ = run(flow, tmp_path)
    (row,) = summary["rows"]
    assert row["share_at_minimum"] == 1.0 and row["largest_distance"] <= 1e-8
    assert row["largest_rate_error"] <= 1e-4  # as the config expects
    assert len(records) == row["starts"] == 5
    assert (tmp_path / "figures" / "flow.png").is_file()


def test_a_rate_is_fitted_where_the_integrator_resolves_the_distance():
    """The last start of seed 2 ends at 4e-21, as its slowest mode holds 1e-10 of it."""
    config = gd_beta_flow.get_config("quick")
    config.seed = 2
    (case,) = flow.cases(config).values()
    records = flow.measure(config, case, None)
    assert records[-1]["distances"][-1] < 1e-20
    (row,) = flow.summarise(config, records)["rows"]
    assert row["largest_rate_error"] <= 1e-4


@pytest.mark.slow
def test_the_ablation_sets_both_models_beside_bayes(tmp_path):
    summary, records, printed = run(ablation, tmp_path)
    assert {record["mlp"] for record in records} == {True, False}
    (effect,) = summary["effects"]
    with_mlp, without = (next(r for r in records if r["mlp"] is mlp) for mlp in (True, False))
    assert effect["difference"] == pytest.approx(without["risk"] - with_mlp["risk"])
    assert all(record["risk"] > record["lines"]["Bayes"] for record in records)
    assert "what the MLP buys" in printed
    assert (tmp_path / "figures" / "risk.png").is_file()


def test_shares_tell_seeds_that_reach_theory_from_those_at_rank_one():
    record = {"risks": [1.01, 1.5, 4.9, None], "target": 1.0, "lines": {prior_mean.RANK_ONE: 5.0}}
    assert prior_mean.shares(record) == {"reached": 0.25, "stalled": 0.25, "elsewhere": 0.5}


@table(
    "driver, changes, message",
    [
        (along_training, {"runs.linear_attention.model.name": "h3"}, "model must be one of"),
        (along_training, {"bayes_samples": 1}, "bayes_samples must be at least 2, got 1"),
        (gap, {"runs.linear_attention.sweep.context_length": (5, 21)}, "must have the same sweep"),
        (ablation, {"runs.with_mlp_signal_10.model.name": "h3"}, "model must be 'gpt2', got 'h3'"),
        (flow, {"num_starts": 0}, "num_starts must be at least 1, got 0"),
        (flow, {"spread": -1.0}, "spread must be finite and above 0"),
        (flow, {"spread": 1e-9}, "spread must be at least 1e-06, got 1e-09"),
        (flow, {"decades": 121.0}, "decades must be at most num_times=120, .*, got 121"),
    ],
)
def test_a_config_that_makes_no_run_is_refused(tmp_path, driver, changes, message):
    with pytest.raises(RunError, match=message):
        run(driver, tmp_path / "run", **changes)


@table("config", CONFIGS.values())
def test_an_unknown_mode_is_refused(config):
    with pytest.raises(ValueError, match="mode must be"):
        config.get_config("slow")


def test_the_full_size_ablation_is_a_config_that_builds():
    config = mlp_ablation.get_config("full-size")
    assert len(config.runs) == 4
    case = config.runs.with_mlp_signal_10.to_dict()
    settings = training.RunSettings.from_config(measure.settings_of(config, case))
    made = jax.eval_shape(
        lambda: nnx.state(
            models.build(settings.model, rngs=nnx.Rngs(params=0), dim=20, context_length=40)
        )
    )
    assert sum(leaf.size for leaf in jax.tree.leaves(made)) > 9_000_000

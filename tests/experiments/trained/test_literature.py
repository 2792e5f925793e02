"""What the literature's experiment claims of its records, and what it refuses."""

import pytest

from configs import literature
from experiments.trained import claims
from experiments.trained import literature as experiment
from experiments.trained.depth import BAYES, DESCENT
from tests.helpers import table


def record(depth, risks, target, *, length=None, **lines):
    """Of one point: the mean of the seeds stands in it as training writes it."""
    point = {"depth": depth} if length is None else {"context_length": length}
    found = [risk for risk in risks if risk is not None]
    return {
        "depth": depth,
        "point": point,
        "risk": sum(found) / len(found) if found else None,
        "risks": risks,
        "target": target,
        "evaluation_error": 0.002 * target,
        "lines": lines,
    }


def verdicts(*records):
    return {claim.name: claim.verdict for claim in experiment.claims(records)}


@table(
    "measured, expected",
    [(0.01, "holds"), (-0.2, "holds"), (0.0139, "in doubt"), (0.0141, "fails")],
)
def test_a_claim_holds_up_to_its_bound_and_is_in_doubt_within_two_standard_errors(
    measured, expected
):
    claim = claims.Claim("risk", measured, 0.01, 0.002)
    assert claim.verdict == expected
    assert claims.Claim.from_dict(claim.to_dict()) == claim
    shown = claims.table([claim])
    assert f"{int(expected == 'holds')} of 1 hold" in str(shown.caption)


def test_one_layer_is_held_to_the_closed_form_on_both_sides():
    found = verdicts(
        record(1, [1.009, 1.009], 1.0),
        record(1, [0.98, 0.98], 1.0, length=5),
        record(1, [None, None], 1.0, length=10),
    )
    assert found == {
        "1 layer: within 1 % of the best step": "holds",
        "1 layer, n = 5: within 1 % of the best step": "fails",
    }


@table(
    "risks, failing",
    [
        ((1.01, 1.2), ()),
        ((1.04, 1.2), ("best seed within 3 % of the best polynomial",)),
        ((1.0, 3.2), ("not above descent of 2 steps",)),
        ((0.8, 0.8), ("not below Bayes",)),
    ],
)
def test_more_layers_lie_between_bayes_and_descent_and_reach_the_best_polynomial(risks, failing):
    found = verdicts(record(2, list(risks), 1.0, **{BAYES: 0.9, DESCENT: 2.0}))
    assert len(found) == 3
    assert {name for name, verdict in found.items() if verdict != "holds"} == {
        f"2 layers: {claim}" for claim in failing
    }


@table(
    "key, value",
    [("model", {"name": "linear_attention"}), ("sweep", {"noise_var": (0.1, 0.2)})],
)
def test_other_models_and_other_sweeps_are_refused(key, value):
    config = literature.get_config("quick")
    with config.unlocked():
        config.runs.layers_2[key] = value
    with pytest.raises(ValueError, match=r"literature: runs.layers_2 must train a linear_transf"):
        experiment.EXPERIMENT.check(config)


def test_the_full_run_has_the_models_that_it_says():
    config = literature.get_config()
    assert config.num_seeds == 5
    assert len(config.runs.context_lengths.sweep.context_length) == 10
    assert [run.model.depth for name, run in config.runs.items() if "layers" in name] == [
        1,
        2,
        3,
        4,
    ]

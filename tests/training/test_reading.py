"""What a trained run says of its models beside their risk."""

import json

import numpy as np

from elsa import training
from tests.training import cases
from tests.training.cases import EVERY, STEPS


def test_risks_along_training_and_trees_read_from_all_models(tmp_path):
    trained = training.fit(cases.quiet(), tmp_path)
    steps, losses = trained.risk_along_training()
    np.testing.assert_array_equal(steps, np.arange(EVERY, STEPS + 1, EVERY))
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    np.testing.assert_array_equal(losses, [json.loads(line)["loss"] for line in lines])
    assert losses.shape == (len(steps), 2, 2)

    read = trained.each(lambda model: {"whole": model.weight[...], "sum": model.weight[...].sum()})
    np.testing.assert_array_equal(read["whole"], cases.weight(trained))
    np.testing.assert_allclose(read["sum"], cases.weight(trained).sum(axis=(2, 3)), rtol=1e-14)


def test_a_loss_that_was_not_finite_is_nan_along_training(tmp_path):
    trained = training.fit(cases.quiet(), tmp_path)
    path = tmp_path / "metrics.jsonl"
    first, *rest = map(json.loads, path.read_text().splitlines())
    first["loss"][1][0] = None
    path.write_text("\n".join(json.dumps(line) for line in (first, *rest)))
    _, losses = trained._replace(written=None).risk_along_training()  # not what the run wrote
    assert np.argwhere(np.isnan(losses)).tolist() == [[0, 1, 0]]

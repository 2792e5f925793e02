"""What the convergence experiment says of a table: coefficients in its units, and unseen rows."""

import csv
import io

import numpy as np
import pytest
from rich.console import Console
from sklearn.linear_model import Ridge, RidgeCV
from sklearn.metrics import r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from configs import convergence as table_config
from experiments.constructed import answer_figure, convergence
from experiments.constructed import convergence_answer as answers
from experiments.constructed import convergence_problems as problems
from experiments.harness import engine, terminal
from experiments.harness.experiment import Place
from tests.helpers import table

# as units and prices are written: no markup of a console, no formula of a figure
COLUMNS = ("age", "dose [mg]", "size [/s] $a^{$")
TARGET = "price [EUR]"


def drawn():
    rng = np.random.default_rng(0)
    x = rng.normal([40.0, 0.01, 3e5], [9.0, 0.002, 1e5], (25, 3))
    return x, x @ [0.2, 800.0, 3e-5] + rng.normal(size=25)


def config(folder, unit=1.0, **data):
    """Of a table with names of people in one column."""
    x, y = drawn()
    lines = [
        f"p{i},{','.join(map(repr, row))}" for i, row in enumerate(np.c_[x, unit * y].tolist())
    ]
    (folder / "my.csv").write_text("\n".join([f"name,{','.join(COLUMNS)},{TARGET}", *lines]))
    asked = table_config.get_config()
    asked.methods, asked.dtypes = ("ridge_elsa_one_layer",), ("float64",)
    asked.data.update(path=str(folder / "my.csv"), target=TARGET, drop="name", **data)
    return asked


def run(asked, folder):
    screen = terminal.Screen(file=io.StringIO(), width=120, highlight=False)
    summary = engine.run(convergence.EXPERIMENT, asked, folder, screen=screen)
    return summary, " ".join(screen.file.getvalue().split())


def read(path):
    head, *lines = csv.reader(path.read_text().splitlines())
    return head, lines


def measured(asked, folder):
    """The one record of a run."""
    (case,) = convergence.cases(asked).values()
    return convergence.measure(asked, case, Place(folder, Console(file=io.StringIO())))


def test_a_run_ends_with_coefficients_predictions_and_r2_beside_scikit_learn(tmp_path):
    summary, printed = run(config(tmp_path), tmp_path / "run")
    x, y = drawn()
    scaler = StandardScaler().fit(x)
    ridge = Ridge(alpha=1.0).fit(scaler.transform(x), y)
    slopes = ridge.coef_ / scaler.scale_
    expected = [*slopes, ridge.intercept_ - slopes @ scaler.mean_]

    head, lines = read(tmp_path / "run" / "coefficients.csv")
    assert head == ["column", "coefficient", "scikit_learn"]
    assert [line[0] for line in lines] == [*COLUMNS, "(intercept)"]
    ours, theirs = np.array([line[1:] for line in lines], float).T
    np.testing.assert_allclose(theirs, expected, rtol=1e-10)
    np.testing.assert_allclose(ours, expected, rtol=1e-8)

    head, lines = read(tmp_path / "run" / "predictions.csv")
    assert head == ["row", TARGET, "prediction", "scikit_learn"] and len(lines) == 5
    rows = np.array([line[0] for line in lines], int) - 1
    truth, ours, theirs = np.array([line[1:] for line in lines], float).T
    np.testing.assert_array_equal(truth, y[rows])
    kept = np.delete(np.arange(25), rows)
    fitted = make_pipeline(StandardScaler(), Ridge(alpha=1.0)).fit(x[kept], y[kept])
    np.testing.assert_allclose(theirs, fitted.predict(x[rows]), rtol=1e-10)
    np.testing.assert_allclose(ours, fitted.predict(x[rows]), rtol=1e-8)

    found = summary["answer"]
    assert found["rows_held_out"] == 5
    for key, predicted in (("r2", ours), ("sklearn_r2", theirs)):
        assert found[key] == pytest.approx(r2_score(truth, predicted), rel=1e-9)
    assert f"R2 {found['r2']:.4f}, scikit-learn {found['sklearn_r2']:.4f}" in printed
    svg = (tmp_path / "run" / "figures" / "answer.svg").read_text()
    scores = f"R² {found['r2']:.4f}, scikit-learn {found['sklearn_r2']:.4f}"
    for text in (scores, "attention", "prediction = truth", "age  "):
        assert text in svg
    page = (tmp_path / "run" / "report.html").read_text()
    for name in (*COLUMNS, TARGET):
        assert name in printed and name in page and name in svg


def test_no_rows_are_held_out_where_none_are_asked_for_and_older_runs_have_no_answer(tmp_path):
    asked = config(tmp_path, held_out=0.0)
    record = measured(asked, tmp_path)
    assert record["answer"]["held_out"] is None and list(answers.files([record])) == [
        "coefficients.csv"
    ]
    assert "no rows were held out" in answers.table(answers.summary([record])["answer"]).caption
    assert len(answer_figure.figure(record["answer"]).axes) == 1
    del record["answer"]
    assert answers.files([record]) == answers.summary([record]) == {}
    assert len(convergence.EXPERIMENT.tables(convergence.summarise(asked, [record]))) == 1


@table(
    "data, error, message",
    [
        ({"drop": "nane"}, KeyError, r"drop must name columns of .*; did you mean 'name'\?"),
        (
            {"drop": f"name, {TARGET}"},
            ValueError,
            "drop must leave the target, got 'price .EUR.' in",
        ),
        (
            {"drop": f'name,age,{COLUMNS[1]},"{COLUMNS[2]}"'},
            ValueError,
            "drop must leave a covariate",
        ),
        ({"drop": ""}, ValueError, "column 'name': expected a finite number, got 'p0'"),
        ({"held_out": 1.0}, ValueError, "held_out must be a share of the rows below 1, got 1.0"),
        ({"held_out": 0.95}, ValueError, r"data.held_out=0.95 leaves 1 row of 25; data.held_out=0"),
        ({"path": "", "target": ""}, ValueError, "data.drop=.* is of a file; name a CSV"),
    ],
)
def test_columns_and_shares_that_cannot_be_are_refused(tmp_path, data, error, message):
    asked = config(tmp_path)
    asked.data.update(data)
    with pytest.raises(error, match=message):
        convergence.check(asked)


def test_any_method_and_labels_in_any_unit_have_the_same_answer(tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    asked = config(small, unit=1e-60)
    asked.methods = ("gradient_descent",)
    found = measured(asked, tmp_path)["answer"]
    reference = measured(config(tmp_path), tmp_path)["answer"]
    for key in ("coefficients", "intercept", "sklearn_coefficients"):
        np.testing.assert_allclose(np.array(found[key]) * 1e60, reference[key], rtol=1e-8)
    assert found["held_out"]["r2"] == pytest.approx(reference["held_out"]["r2"], rel=1e-8)


@pytest.mark.parametrize("lam", [100.0, 1.0])
def test_the_answer_names_lam_and_one_that_predicts_rows_left_out_better(tmp_path, lam):
    """Against a fit for each row that is left out, which scikit-learn's RidgeCV makes too."""
    asked = config(tmp_path, held_out=0.0)
    asked.lam = lam
    problem = problems.build(next(iter(problems.names(asked).values())))
    found = answers.regulariser(problem)
    x, y = problem.x[0], problem.y[0]

    def left_out(lam):
        found = RidgeCV(alphas=[lam]).fit(x, y)
        return 1.0 + found.best_score_ / np.var(y)

    assert found["lam"] == lam and found["left_out_r2"] == pytest.approx(left_out(lam), rel=1e-9)
    good = found["good_left_out_r2"]
    assert good == pytest.approx(left_out(found["good_lam"]), abs=1e-3)  # its digits are two
    best = max(left_out(other) for other in np.logspace(-4, 4, 40))
    assert good > best - 0.011
    if lam == 100.0:  # much for 25 rows
        assert good > found["left_out_r2"] + 0.05
    summary = answers.summary([{"answer": {**EMPTY, "regulariser": found}}])["answer"]
    caption = " ".join(answers.table(summary).caption.split())
    assert f"lam = {lam:g}, which shrinks" in caption
    better = found["good_left_out_r2"] >= found["left_out_r2"] + 0.005
    assert (f"--config.lam={found['good_lam']:g}, with another --workdir" in caption) == better
    assert "lam" not in answers.table(answers.summary([{"answer": EMPTY}])["answer"]).caption


EMPTY = {  # the answer of a run of before, which has no regulariser in it
    **{"target": "y", "columns": [], "coefficients": [], "sklearn_coefficients": []},
    **{"intercept": 0.0, "sklearn_intercept": 0.0, "held_out": None},
}


@pytest.mark.parametrize(
    ("own", "good", "said"),
    [
        (0.977, 0.9684, "this lam is about the best"),
        (0.977, 0.978, "this lam is about the best"),
        (-0.2, -0.01, "the columns predict nothing here"),
        (0.9, 0.95, "--config.lam=6"),
    ],
)
def test_only_a_lam_that_is_visibly_better_is_recommended(own, good, said):
    found = {"lam": 1.0, "left_out_r2": own, "good_lam": 6.0, "good_left_out_r2": good}
    told = answers._of_lam(found)
    assert said in told and ("--config" in told) == ("--config" in said)

"""The page of derivations: its code runs, its names exist, its numbers come out."""

import re
from pathlib import Path

import numpy as np
import pytest

from elsa import theory
from scripts.readme_commands import fences

PAGE = (Path(__file__).parents[2] / "docs" / "theory.md").read_text(encoding="utf-8")
(CODE,) = [fence.text for fence in fences(PAGE) if fence.language == "python"]


def test_the_example_prints_a_true_chain(capsys):
    exec(compile(CODE, "docs/theory.md", "exec"), {})
    one, three, bayes, error, noise = map(float, re.findall(r"\d+\.\d+", capsys.readouterr().out))
    assert one > three > bayes > noise and 0 < error < 0.01


def test_every_function_named_exists_and_every_risk_is_named():
    named = set(re.findall(r"`(\w+_(?:risk|optimum|limit|approximation|sizes|moment|rates))", PAGE))
    assert named and [n for n in named if not hasattr(theory, n)] == []
    stems = {name.rsplit("_", 1)[0] for name in re.findall(r"`(\w+_)", PAGE)}
    risks = [name for name in theory.__all__ if name.endswith(("_risk", "_optimum"))]
    assert [r for r in risks if f"`{r}" not in PAGE and r.rsplit("_", 1)[0] not in stems] == []


def test_the_numbers_of_the_text():
    sizes = {"dim": 5, "context_length": 20}
    setting = theory.Setting(**sizes, noise_var=0.25, task_mean=3 * np.ones(5))
    alone = theory.linear_attention_optimum(setting).risk
    with_start = theory.gd_beta_optimum(setting).risk
    assert (round(alone, 4), round(with_start, 4)) == (7.2769, 1.4405)
    steps = [
        theory.multi_step_optimum(**sizes, noise_var=0.25, steps=k).risk for k in (1, 2, 3, 10)
    ]
    assert [round(risk, 4) for risk in steps] == [1.4405, 0.6724, 0.4574, 0.3379]
    coefficients, _ = theory.multi_step_optimum(**sizes, noise_var=10.0, steps=5)
    assert np.iscomplex(np.roots([*-coefficients[::-1], 1.0])).sum() == 4


def test_the_table_of_a_prior_mean():
    rows = re.findall(r"^\| (\d) " + 4 * r"\| ([\d.]+) " + r"\|$", PAGE, re.M)
    assert len(rows) == 2
    for length, *shown in rows:
        mean = float(length) * np.full(4, 0.5)
        setting = theory.Setting(dim=4, context_length=16, noise_var=0.1, task_mean=mean)
        risks = [
            theory.gd_beta_optimum(setting).risk,
            theory.multi_head_optimum(setting).risk,
            theory.multi_head_optimum(setting, masked=False).risk,
            theory.linear_attention_optimum(setting).risk,
        ]
        np.testing.assert_allclose(np.array(shown, float), risks, atol=5.01e-5)


@pytest.mark.parametrize(
    "row", re.findall(r"^\| (\d+) \| (\d+) ((?:\| [+-]\d+\.\d% ){5})", PAGE, re.M)
)
def test_the_table_of_retrieval(row):
    shown = [float(v[:-1]) for v in row[2].split() if v != "|"]
    sizes = {"dim": int(row[0]), "context_length": int(row[1]), "noise_var": 0.1}
    off = [
        theory.retrieval_risk(alignment=a, **sizes)
        / theory.retrieval_approximation(alignment=a, **sizes)
        - 1
        for a in (0.0, 0.1, 0.3, 0.6, 0.9)
    ]
    np.testing.assert_allclose(shown, 100 * np.array(off), atol=0.0501)


@pytest.mark.parametrize(
    "row", re.findall(r"^\| (\d+) \| (\d+) " + 4 * r"\| ([\d.]+) " + r"\|", PAGE, re.M)
)
def test_the_table_of_alignment(row):
    n, d, a, *shown = (float(v) for v in row)
    args = {"dim": int(d), "context_length": int(n), "alignment": a, "noise_var": 0.1}
    exact = [theory.alignment_risk(**args), theory.alignment_approximation(**args)]
    exact.append(theory.alignment_approximation(**args, power=1))
    np.testing.assert_allclose(shown, exact, atol=5.01e-5)

"""What training from weights written by hand prints and draws."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from ml_collections import ConfigDict

from elsa.base.counting import counted
from elsa.report import style
from experiments.harness.experiment import Record, Summary
from experiments.trained import report
from experiments.trained.spec import Figures

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from rich.table import Table

_LINEAR = 0.01  # noise up to which the axis of the figure is linear
_HIGHEST = 100.0  # of the figure: what is above, or not finite, is drawn at its edge


def label_of(model: Mapping[str, Any]) -> str:
    """A run as the figures name it."""
    depth = model.get("depth", 1)
    words = [f"{depth} step" + "s" * (depth > 1)]
    words += ["tied"] if model.get("tied", False) else []
    words += ["biases by position"] if model.get("biases") == "position" else []
    return ", ".join(words)


def tables(summary: Summary) -> list["Table"]:
    """One row a run and noise, before and after, and every step's size: tr P / d."""
    from rich.table import Table

    lengths = list(dict.fromkeys(n for row in summary["rows"] for n in row["lengths"]))
    made = Table(
        *("start", "noise", "risk before", "after", "every seed", "moved"),
        *(*(f"n = {n}" for n in lengths), "step sizes before", "after"),
        title=(
            "risk of stacks that start from weights written by hand, before and after training;\n"
            f"{counted(summary['num_seeds'], 'seed')}, {summary['eval_prompts']:,} fresh prompts"
        ),
        caption=(
            "moved: |W - W0| over all weights and biases; n: the worst seed on other lengths;\n"
            "step sizes: tr P / d of w += P X^T r, every step, the mean over the seeds;\n"
            "before training the risk of most prompts is small and that of a few is not: the mean\n"
            "of another sample may differ by several percent"
        ),
        title_justify="left",
        caption_justify="left",
    )
    for row in summary["rows"]:
        trained = row["steps"] > 0
        made.add_row(
            row["label"],
            f"{row['noise']:g}",
            _risks(row["start_risks"]),
            _risks(row["risks"]) if trained else "not trained",
            " ".join(_number(risk) for risk in row["risks"]) if trained else "-",
            _risks(row["moved"], ".2f") if trained else "-",
            *(_worst(row["lengths"].get(n)) for n in lengths),
            *(
                " ".join(f"{size:.2f}" for size in sizes(row, when)) if trained else "-"
                for when in ("before", "after")
            ),
        )
    return [made]


def sizes(record: Mapping[str, Any], when: str) -> list[float]:
    """tr P / d of every step, the mean over the seeds that have one."""
    return [float(np.mean(each)) for each in np.diagonal(_mean(record, when), axis1=1, axis2=2)]


def _mean(record: Mapping[str, Any], when: str) -> np.ndarray:
    """P of every step, [steps, d, d], the mean over the seeds."""
    found = np.array(record["matrices"][when], np.float64)
    dim = len(record["covariance"])
    mean: np.ndarray = np.nanmean(found, axis=0).reshape(-1, dim, dim)
    return mean


def _number(risk: float | None) -> str:
    return "not finite" if risk is None else f"{risk:.3g}"


def _risks(values: Sequence[float | None], form: str = ".3g") -> str:
    """The mean over the seeds; which of them is not finite."""
    finite = [value for value in values if value is not None]
    if len(finite) < len(values):
        return f"not finite ({len(values) - len(finite)} of {len(values)})"
    return f"{np.mean(finite):{form}}"


def _worst(values: Sequence[float | None] | None) -> str:
    if values is None:
        return "-"
    return "not finite" if None in values else f"{max(v for v in values if v is not None):.3g}"


def figures(config: ConfigDict, records: list[Record], summary: Summary) -> Figures:
    """Risk before and after against the noise, on other lengths, and what the steps have become."""
    labels = list(dict.fromkeys(record["label"] for record in records))
    exact = [r for r in report.by(records, noise=0.0) if r["risk"] is not None and r["steps"] > 0]
    elsewhere = [record for record in exact if record["lengths"]]
    panels = 1 + bool(elsewhere) + bool(exact)
    figure, grid = style.figure(panels, height=2.4 * panels, squeeze=False)
    top, *others = grid[:, 0]
    _draw_risks(top, records, labels)
    if elsewhere:
        _draw_lengths(others[0], elsewhere, labels)
    if exact:
        _draw_steps(others[-1], max(exact[::-1], key=lambda r: len(r["matrices"]["after"][0])))
    style.legend_outside(figure, *(grid[:2, 0] if elsewhere else grid[:1, 0]))
    return {"from_construction": figure}


def _draw_risks(axes: "Axes", records: Sequence[Record], labels: Sequence[str]) -> None:
    for index, label in enumerate(labels):
        own = sorted(report.by(records, label=label), key=lambda record: float(record["noise"]))
        for when in ("start_risks", "risks"):
            before: dict[str, Any] = {"alpha": 0.6, "markersize": 3.0, "marker": "x"}
            look = before if when == "start_risks" else {}
            drawn = [r for r in own if when == "start_risks" or r["steps"] > 0]
            places = [_beside(r["noise"], index) for r in drawn for _ in r[when]]
            heights = [_at_edge(risk) for r in drawn for risk in r[when]]
            name = "as built" if when == "start_risks" else "trained"
            style.measured(
                axes,
                places,
                heights,
                name=index,
                label=f"{label}, {name}",
                linestyle="none",
                **look,
            )
    noises = sorted({float(record["noise"]) for record in records})
    bayes = float(records[0]["target"])
    style.theory(axes, [0.0, 1.4 * noises[-1]], [bayes, bayes], label="theory: Bayes")
    axes.set_xscale("symlog", linthresh=_LINEAR)
    axes.set_xticks(noises, [f"{noise:g}" for noise in noises])
    axes.minorticks_off()
    style.logarithmic(axes)
    axes.set_ylim(0.8 * bayes, 1.3 * _HIGHEST)
    style.finish(
        axes,
        x="noise on every weight (standard deviation)",
        y="risk (squared error)",
        title=f"every seed; above {_HIGHEST:g} or not finite: at the edge",
        legend=False,
    )


def _beside(noise: float, index: int) -> float:
    """Where a run is drawn, so that those of equal noise, and of none, stand side by side."""
    return (1.0 + 0.06 * index) * noise if noise else 0.08 * index * _LINEAR


def _at_edge(risk: float | None) -> float:
    return _HIGHEST if risk is None else min(risk, _HIGHEST)


def _draw_lengths(axes: "Axes", records: Sequence[Record], labels: Sequence[str]) -> None:
    """Risk on contexts of every length, trained at one."""
    any_above = False
    for record in records:
        trained_at = record["context_length"]
        found = {**record["lengths"], str(trained_at): record["risks"]}
        lengths = sorted(map(int, found))
        index = labels.index(record["label"])
        places = [n for n in lengths for _ in found[str(n)]]
        risks = [risk for n in lengths for risk in found[str(n)]]
        heights = [_at_edge(risk) for risk in risks]
        any_above |= heights != risks
        style.measured(
            axes,
            places,
            heights,
            name=index,
            label=f"{record['label']}, trained",
            linestyle="none",
        )
    bayes = records[0]["bayes"]
    lengths = sorted(map(int, bayes))
    style.theory(axes, lengths, [bayes[str(n)] for n in lengths], label="theory: Bayes")
    axes.set_xscale("log")
    axes.set_xticks(lengths, [str(n) for n in lengths])
    axes.minorticks_off()
    style.logarithmic(axes)
    style.finish(
        axes,
        x="context length n (examples)",
        y="risk (squared error)",
        title=f"trained at n = {trained_at}" + f"; above {_HIGHEST:g}: at the edge" * any_above,
        legend=False,
    )


def _draw_steps(axes: "Axes", record: Mapping[str, Any]) -> None:
    """The diagonal of every step's matrix against the variance of its covariate."""
    variances = np.array(record["covariance"])
    found = np.array(record["matrices"]["after"], np.float64)
    seeds = found.reshape(len(found), -1, len(variances), len(variances))
    for step in range(seeds.shape[1]):
        diagonal = np.diagonal(seeds[:, step], axis1=1, axis2=2)
        style.measured(
            axes,
            variances,
            np.nanmean(diagonal, axis=0),
            name=step,
            label=f"step {step + 1}",
            error=np.nanstd(diagonal, axis=0),
        )
    style.bars(axes, "± s.d. over seeds")
    built = [record["step_size"]] * len(variances)
    style.theory(axes, variances, built, label="as built: the step size")
    axes.set_xscale("log")
    axes.set_xticks(variances, [f"{variance:g}" for variance in variances])
    axes.minorticks_off()
    lowest, highest = axes.get_ylim()
    axes.set_ylim(min(0.0, lowest), 1.4 * highest)  # the legend lies above all that is drawn
    style.finish(
        axes,
        x="variance of the covariate",
        y="entry of P in w += P X^T r",
        title=f"{record['label']}: the diagonal of every step's matrix",
        legend={"ncols": 2, "loc": "upper right"},
    )

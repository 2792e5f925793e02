"""Which algorithm a stack or a trained model runs: the distance to each, step by step."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from elsa.base import checks
from elsa.base.arrays import AnyShape
from elsa.readback.matching_candidates import CANDIDATES, Problems, fitted
from elsa.readback.matching_traces import trace
from elsa.tasks import Prompt

_EXACT = 1e-6  # a distance that is rounding, in the fit too
_FAR = 0.25  # from which on none is near
NONE = "none"  # the name where none is near
_DESCENT = "gradient descent"
_AS_NEAR = 5.0  # times as far, and descent still counts as near as what is descent in effect
_SLIGHT = 0.05  # of what makes an algorithm another one than gradient descent


class AlgorithmMatch(NamedTuple):
    """How near a stack or a model is to each algorithm, the algorithm's own numbers fitted.

    name: of the algorithm that is named: the nearest, or one with fewer numbers about as near;
      "none" where none is near.
    names: of the columns.
    predictions: |f_k - g_k| / |f_k| over the prompts, for the predictions after step k = 1, 2, ...
    sensitivities: the same of d prediction / d query_x.
    directions: mean cosine between the changes of the sensitivities in step k.
    numbers: name -> the numbers that were fitted, or given, by their names.
    """

    name: str
    names: tuple[str, ...]
    predictions: Float[np.ndarray, "steps algorithms"]
    sensitivities: Float[np.ndarray, "steps algorithms"]
    directions: Float[np.ndarray, "steps algorithms"]
    numbers: Mapping[str, Mapping[str, Any]]


def algorithm_match(
    model: Any,
    prompt: Prompt,
    /,
    *,
    lam: float = 0.0,
    algorithms: Sequence[str] = tuple(CANDIDATES),
    numbers: Mapping[str, Mapping[str, Any]] | None = None,
    **blocks: AnyShape,
) -> AlgorithmMatch:
    """The algorithms of ridge regression that a stack or a trained model is nearest to.

    Every algorithm starts from w = 0 and runs as many steps as the stack has, or the model layers;
    its numbers (step size, preconditioner, curvature, momentum, spectrum, first inverse) are those
    for which its weights w_t come nearest to the sensitivities, d prediction / d query_x, of all
    steps, each relative to its size. Gradient descent is a case of the others but Newton-Schulz.
    So one of k numbers is named where it is 1 + log2(k) / 2 times as near as one of one number, and
    not in effect descent (a momentum, a curvature times the largest eigenvalue, a share of the
    preconditioner that is no multiple of I, or a Chebyshev factor q^2 below 0.05) where that is
    less than 5 times as far. What is matched but for rounding (1e-6) is named before all others,
    fewest numbers first. Where what would be named is 0.25 off or more, root mean square over the
    steps of the sensitivities' distance, the name is "none".

    Akyürek et al. (arXiv:2211.15661) and von Oswald et al. (arXiv:2212.07677) compare predictions,
    sensitivities and directions of trained models with those of algorithms.

    Args:
      model: a stack that takes X and y and returns w or prediction, or a model of `elsa.models`.
      prompt: a batch of problems.
      lam: the regulariser of the algorithms; a stack gets it as the block "lam" if it takes one.
      algorithms: names of those to compare with.
      numbers: name of an algorithm -> its numbers, where they are not to be fitted.
      blocks: of the stack, where they do not start at zero, as Z of Newton-Schulz.

    Raises:
      KeyError: for an unknown algorithm or block. TypeError, ValueError: for what is no stack and
        no model, prompts that do not fit, lam < 0.
    """
    where = "algorithm_match"
    checks.instance(where, Prompt, "a Prompt", prompt=prompt)
    shapes = zip(prompt._fields, prompt, ("batch n d", "batch n", "batch d", "batch"), strict=True)
    own_shapes = {f"prompt.{name}": (array, shape) for name, array, shape in shapes}
    checks.shapes(where, **own_shapes)
    arrays = {name: array for name, (array, _) in own_shapes.items()}
    checks.finite(where, **arrays)
    checks.in_range(where, np.float32, **arrays)  # so that moments are finite in float64
    checks.at_least(where, lam=(lam, 0.0))
    checks.finite(where, lam=lam)
    _check_names(algorithms, {} if numbers is None else numbers)
    own = dict(blocks)
    if "lam" in getattr(model, "inputs", {}):
        own["lam"] = np.full((1, 1), lam)
    found = trace(model, prompt, own)
    x, y = (np.asarray(a, np.float64) for a in prompt[:2])
    problems = Problems(
        np.swapaxes(x, 1, 2) @ x, (np.swapaxes(x, 1, 2) @ y[..., None])[..., 0], lam
    )
    query = np.asarray(prompt.query_x, np.float64)
    rows, said, scores = [], {}, {}
    for name in algorithms:
        path, said[name] = _path(name, problems, found.sensitivities, (numbers or {}).get(name))
        answers = np.einsum("tbd,bd->tb", path, query)
        rows.append(
            (
                _distances(found.predictions, answers),
                _distances(found.sensitivities, path),
                _cosines(np.diff(found.sensitivities, axis=0), np.diff(path, axis=0)),
            )
        )
        scores[name] = float(np.sqrt(np.mean(rows[-1][1] ** 2)))
    predictions, sensitivities, directions = (np.array(p).T for p in zip(*rows, strict=True))
    by_name = {name: _by_name(name, problems, own) for name, own in said.items()}
    name = _named(scores, problems, said)
    names = tuple(algorithms)
    return AlgorithmMatch(name, names, predictions, sensitivities, directions, by_name)


def _check_names(algorithms: Sequence[str], numbers: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuses what names no algorithms, and numbers that are none of them."""
    where = "algorithm_match"
    checks.instance(where, tuple | list, "a tuple of names", algorithms=algorithms)
    checks.known_names(where, "algorithm", algorithms, CANDIDATES)
    if not algorithms or len(set(algorithms)) < len(algorithms):
        raise ValueError(
            f"{where}: algorithms must name some of {[*CANDIDATES]}, each once, got {algorithms!r}"
        )
    checks.mapping(where, "a mapping of algorithms to their numbers", numbers=numbers)
    checks.known_names(where, "algorithm", numbers, CANDIDATES)
    for name, own in numbers.items():
        checks.mapping(where, "a mapping of names to numbers", **{f"numbers[{name!r}]": own})
        checks.names(where, f"number of {name}", own, CANDIDATES[name].numbers)
        checks.finite(where, **own)


def _path(
    name: str, of: Problems, wanted: np.ndarray, given: Mapping[str, Any] | None
) -> tuple[np.ndarray, np.ndarray]:
    """The weights of an algorithm, and its numbers."""
    candidate = CANDIDATES[name]
    if given is None:
        numbers, path = fitted(candidate, of, wanted)
        return path, numbers
    for number, value in given.items():
        shape = "d d" if number == "preconditioner" else ""
        checks.shapes(
            "algorithm_match", prompt_x=(of.moment[:1], "_ d"), **{number: (value, shape)}
        )
    numbers = np.concatenate([np.asarray(given[n], np.float64).ravel() for n in candidate.numbers])
    return candidate.path(of, len(wanted) - 1, numbers), numbers


def _by_name(name: str, of: Problems, numbers: np.ndarray) -> dict[str, Any]:
    if name == "preconditioned":
        d = of.moment.shape[1]
        return {"preconditioner": numbers.reshape(d, d)}
    return dict(zip(CANDIDATES[name].numbers, map(float, numbers), strict=True))


def _named(scores: Mapping[str, float], of: Problems, numbers: Mapping[str, np.ndarray]) -> str:
    """The nearest algorithm, its numbers counted against it, and none that is descent in effect.

    One that is matched but for rounding is named in any case, and none that is far.
    """
    exact = [name for name, score in scores.items() if score <= _EXACT]
    if exact:
        return min(exact, key=lambda name: (numbers[name].size, name != _DESCENT))

    def cost(name: str) -> float:
        own = scores[name] * (1.0 + np.log2(numbers[name].size) / 2.0)
        as_near = scores.get(_DESCENT, np.inf) < _AS_NEAR * scores[name]
        plain = as_near and CANDIDATES[name].extra(of, numbers[name]) < _SLIGHT
        return np.inf if plain else float(own)

    near = min(scores, key=cost)
    return near if scores[near] < _FAR else NONE


def _distances(found: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Relative distance after each step but the start."""
    axes = tuple(range(1, found.ndim))
    gaps = np.sqrt(np.sum((found - other)[1:] ** 2, axis=axes))
    sizes = np.sqrt(np.sum(found[1:] ** 2, axis=axes))
    distances: np.ndarray = gaps / np.where(sizes > 0, sizes, 1.0)
    return distances


def _cosines(found: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Mean cosine over the prompts, for each step."""
    sizes = np.linalg.norm(found, axis=-1) * np.linalg.norm(other, axis=-1)
    cosines = np.sum(found * other, axis=-1) / np.where(sizes > 0, sizes, 1.0)
    mean: np.ndarray = cosines.mean(axis=1)
    return mean

"""From a config's architecture, prompt and start to the settings of a run, or one refusal."""

import functools
from typing import Any

import jax
import numpy as np
from jaxtyping import Array
from ml_collections import ConfigDict

from elsa.prompts.named import named_format
from elsa.training import compiling
from experiments.trained import architecture_table, texts
from experiments.trained.architecture_table import ARCHITECTURES
from experiments.trained.by_value import ByValue

_PROMPTS = 256  # on which a step size is measured


def model_settings(config: ConfigDict, task: Any) -> dict[str, Any]:
    """The model, as `models.build` takes it.

    Raises:
      ValueError: for a combination that cannot be built, with all that can.
    """
    architecture_table.refuse(config)
    asked, prompt = config.model.to_dict(), config.prompt.to_dict()
    name = asked.pop("architecture")
    architecture = ARCHITECTURES[name]
    own = {key: asked[key] for key in architecture.takes}
    depth = own.pop("depth", None)
    if "depth" in architecture.takes:
        own["depth"] = 2 if depth is None else depth
    if name == "linear_transformer":
        own["init_scale"] = asked["init_scale"] / (task.dim + 1) ** 0.5
    if not architecture.is_stack:
        return {"name": architecture.name, **own}
    if prompt["layout"] == "custom" and not prompt["boxes"]:
        raise ValueError(f"prompt.layout='custom' needs prompt.boxes, {_boxes_for(config, task)}")
    if own["step_size"] is None:
        own["step_size"] = step_size(task, prompt["lam"], config.seed)
    boxes = {"boxes": texts.boxes(prompt["boxes"])} if prompt["boxes"] else {}
    return {"name": name, "layout": prompt["layout"], "lam": prompt["lam"], **boxes, **own}


def step_size(task: Any, lam: float, seed: int) -> float:
    """1 over the largest eigenvalue of (X^T X + lam I) / n on some prompts, to three digits.

    Gradient descent with it gets closer on all prompts whose largest is below twice that.
    """
    return _step_size(ByValue(task), lam, seed)


@functools.lru_cache(maxsize=32)  # a run asks for it several times, the points of a sweep too
def _step_size(asked: ByValue, lam: float, seed: int) -> float:
    x = np.asarray(_covariates(asked.task, jax.random.key(seed)))
    n, dim = x.shape[1:]
    gram = np.einsum("bni,bnj->bij", x, x) / n + lam / n * np.eye(dim)
    largest = float(np.linalg.eigvalsh(gram)[:, -1].max())
    return float(f"{1.0 / largest:.3g}")


# few prompts: it takes longer to compile than to run
@functools.partial(jax.jit, compiler_options=compiling.options(optimise=False))
def _covariates(task: Any, key: Array) -> Array:
    x: Array = task.sample(key, _PROMPTS).x
    return x


def _boxes_for(config: ConfigDict, task: Any) -> str:
    """An example of boxes that would do, as a command line takes it."""
    built = config.model.init == "construction"
    layout = named_format("natural" if built else "stacked", task.dim).layout(task.context_length)
    names = [name for name in layout if not built or name not in ("residual", "prediction")]
    said = "; ".join(" ".join(map(str, (name, *layout.box(name)))) for name in names)
    return (
        f"block, row, channel, height and width of each, as --config.prompt.boxes='{said}': "
        f"{', '.join(names)} must be there, wherever they are"
    )

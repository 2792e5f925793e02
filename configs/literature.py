"""Trained linear transformers, by depth and by context length, held to what theory says of them.

The two figures of the literature on linear attention in context (Ahn et al., arXiv:2306.00297;
Zhang et al., arXiv:2402.14951; Li, Rawat, Oymak, arXiv:2407.10005): the risk of 1 to 4 layers on
contexts of one length, and of one layer on contexts of ten, five seeds each, every group of models
one program. Measured risks beside the closed form of one step, the best descent of as many steps as
layers, the best polynomial of the depth, and Bayes. The run ends with a table of what must hold,
and whether it does.

Run:    python -m experiments.run --config=configs/literature.py, or make literature-figures
Vary:   --config.train.num_steps=16000, --config.runs.context_lengths.task.noise_var=1.0
Expect: one layer within 1% of the closed form at every length; the mean of two to four layers
        between Bayes and descent of as many steps (one seed of two layers and one of three stay
        above it), their best seeds within 3% of the best polynomial
Time:   10 min on 2 CPU cores, with 2,000 and 6,000 steps; configs/literature.py:quick 30 s
"""

from ml_collections import ConfigDict

from configs import base, depth

LENGTHS = (5, 10, 15, 20, 25, 30, 40, 50, 60, 80)


def get_config(mode: str = "full") -> ConfigDict:
    """ "full", or "quick": two layers, one dimension, three lengths."""
    quick = base.is_quick("literature", mode)
    config = depth.get_config(mode)
    config.experiment = "literature"
    if not quick:
        config.train.num_steps, config.eval_prompts = 6_000, 1_000_000
    lengths = (4, 6, 12) if quick else LENGTHS
    # one layer, whose optimum is known: weights are their mean over the last steps
    averaged = {
        "num_steps": 400 if quick else 2_000,
        "batch": 128 if quick else 256,
        "learning_rate": 0.02,
        "average": 0.5,
    }
    config.runs.context_lengths = ConfigDict(
        {
            "task": {**_task(config), "context_length": max(lengths)},
            "model": {"name": "linear_transformer", "init_scale": 0.1, "depth": 1},
            "sweep": {"context_length": lengths},
            "train": averaged,
        }
    )
    return config


def _task(config: ConfigDict) -> dict[str, object]:
    """That of the other runs."""
    task: dict[str, object] = next(iter(config.runs.values())).task.to_dict()
    return task

"""One architecture, one prompt, one depth, built or trained, beside ridge regression.

Linear regression in context (or contexts cut from a table of your own) by any architecture: LSA,
ELSA, linear attention, a linear transformer or its block, H3, softmax attention, GPT-2. Stacks of
LSA and ELSA read the prompt in any layout and start at random, from weights written by hand or from
a compiled step; any may start where a run or a file has ended. Risk along training, distance to
ridge after every layer before and after training, predictions against ridge's.

Run:    python -m experiments.run --config=configs/train.py
Vary:   --config.model.architecture=gpt2, --config.prompt.layout=natural, --config.model.depth=5,
        --config.model.init=construction --config.train.num_steps=0, --config.data.path=my.csv,
        --config.evaluate.context_length='(8, 32)', --config.task.dim=8, --config.task.name=drift
        --config.task.fields=correlation=0.9
Expect: ELSA of two layers ends within 50% of ridge's risk .337; one step of preconditioned descent
        is at 1.11
Time:   2 min on 2 CPU cores; configs/train.py:quick 15 s
"""

from ml_collections import ConfigDict, config_dict

from configs import base


def get_config(mode: str = "full") -> ConfigDict:
    """ "full", or "quick": two covariates, few steps."""
    quick = base.is_quick("train", mode)
    config = base.trained("train", quick, {}, like=base.CLIPPED, train=_training(quick))
    # A CSV file with a header and the name of its label column: contexts are cut from it. What
    # separates columns ("tab", ";", ..) and the decimal mark are found out where they are empty.
    # A share of a table's rows is held out: the models' and ridge's risk where these are the query.
    config.data = ConfigDict(
        {"path": "", "target": "", "drop": "", "separator": "", "decimal": "", "held_out": 0.2}
    )
    config.task = ConfigDict(
        {
            # "retrieval", "alignment", "drift", ..; "table": of data.path, or the diabetes data
            "name": "linear_regression",
            "dim": 2 if quick else 4,
            "context_length": 8 if quick else 16,
            "noise_var": 0.25,
            # eigenvalues of the covariates' covariance: dim of them, or one for all, (1.0,) for the
            # identity; where none are given, a geometric row from 2 down to 1/4, whatever dim is
            "cov_x": (),
            "covariates": "normal",  # "sphere", "gamma"
            "fields": "",  # others of the task named: "alignment=0.5", "cov_task=(2,1,1,1)"
        }
    )
    config.prompt = ConfigDict(
        {
            "layout": "stacked",  # "stacked_roles", "natural", "designed", "source", "transposed"
            "boxes": "",  # of "custom": 'X 0 0 16 4; y 0 4 16 1; ..', row, channel, height, width
            "lam": config.task.get_oneway_ref("noise_var"),  # the regulariser that it tells
        }
    )
    config.model = ConfigDict(
        {
            "architecture": "elsa",
            # layers; steps of what is built or compiled; by default 2, or 1 where there is but one
            "depth": config_dict.placeholder(int),
            "num_heads": 1,
            "key_size": 0,  # of LSA and ELSA; 0: the channels of the prompt
            "tied": False,
            "biases": "role",  # of ELSA; "position" fixes the context's length
            "width": 32,  # of GPT-2
            "init": "random",  # "construction", "compiled", "checkpoint"
            "path": "",  # of "checkpoint": a run's folder, or a file of elsa.export
            "algorithm": "",  # of "compiled": "gradient_descent", "newton_schulz_ridge"
            "init_scale": 0.3,  # of what is random, in units of 1 / sqrt(channels)
            "noise": 0.0,  # on weights that are not random
            # of what is built; by default 1 over the largest eigenvalue on some prompts
            "step_size": config_dict.placeholder(float),
        }
    )
    config.watch_prompts = 256  # on which distances to ridge are measured along training
    # what else the trained models are run on: values of each, as '(8, 32)'; see tasks.shifted
    config.evaluate = ConfigDict(
        {
            "context_length": (),
            "covariate_scale": (),
            "cov_x": (),  # eigenvalues, '((1, 1, 1, 1), (4, 1, 1, 0.25))', or one number for all
            "noise_var": (),
            "query_scale": (),
            "orthogonal_query": (),
            "half_subspace": (),
            "depth": (),  # of a tied stack
            # others, with the sizes and the noise of this one unless they say theirs:
            "task": "",  # "retrieval alignment=0.5; linear_regression covariates=gamma"
        }
    )
    config.axes = ConfigDict()  # axis -> values that share a program; sweeps fill it
    config.num_seeds = 2 if quick else 3
    return config


def _training(quick: bool) -> dict[str, object]:
    return {
        "num_steps": 200 if quick else 1_500,
        "batch": 64,
        "learning_rate": 1e-2,
        "decay": "cosine",
        "loss": "squared",  # "huber": where single prompts dominate, at depth 3 and above
        "adam_b2": 0.99,
        "skip_nonfinite": 20,  # steps in a row that may be skipped before a model stops
        "average": 0.0,
        "patience": 0,
        "optimise": not quick,  # False compiles in about half the time
    }

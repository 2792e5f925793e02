"""Settings that older runs did not write, and what they did."""

NEWER = {
    # All of `training.TrainSettings` but the steps: each was new once.
    "train.batch": 256,
    "train.learning_rate": 0.01,
    "train.warmup": 0,
    "train.decay": "cosine",
    "train.average": 0.0,
    "train.max_gradient_norm": 0.0,
    "train.evaluate_every": 100,
    "train.patience": 0,
    "train.min_improvement": 0.001,
    "train.sampler": "auto",
    "train.share_data": False,
    "train.checkpoint_seconds": 30.0,
    "train.keep": 3,
    "train.optimise": True,
    "train.matmul_precision": "highest",
    "train.loss": "squared",
    "train.huber_delta": 3.0,
    "train.adam_b2": 0.999,
    "train.skip_nonfinite": 0,
    "train.tracker": "tensorboard",
    "data.separator": "",
    "data.decimal": "",
    "data.drop": "",
    "data.held_out": 0.2,  # of the experiment convergence, whose older records have no answer
}

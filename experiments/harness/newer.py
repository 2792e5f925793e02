"""Settings that older runs did not write, and what they did."""

NEWER = {
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

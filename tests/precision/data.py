"""A small problem in every form that a function may want it in."""

import numpy as np

from elsa import tasks

BATCH, ROWS, DIM, QUERIES = 2, 5, 3, 2
_RNG = np.random.default_rng(0)


def normal(*shape):
    return _RNG.normal(size=shape)


X, Y, W, QUERY_X = normal(ROWS, DIM), normal(ROWS, 1), normal(DIM, 1), normal(QUERIES, DIM)
LAM, STEP_SIZE = np.full((1, 1), 0.5), 0.01
PROMPT = tasks.Prompt(
    normal(BATCH, ROWS, DIM), normal(BATCH, ROWS), normal(BATCH, DIM), normal(BATCH)
)
_rows = np.concatenate([PROMPT.x, PROMPT.y[:, :, None]], axis=2)
PAIRS = tasks.pair_prompt(PROMPT)
GRAM = tasks.GramPrompt(np.swapaxes(_rows, 1, 2) @ _rows, PROMPT.query_x, PROMPT.query_y)
PRODUCTS = tasks.Products(DIM)
_factors = {name: normal(BATCH, DIM, DIM) for name in "AB"}
BLOCKS = tasks.BlockPrompt(_factors, normal(BATCH, DIM, DIM))
MATRIX, VECTOR = normal(DIM, DIM), normal(DIM)
COVARIANCE = MATRIX @ MATRIX.T + np.eye(DIM)
RIDGE = {"X": X, "y": Y, "lam": LAM, "w": W, "query_x": QUERY_X}

"""What the tests of the ridge constructions share: forms, problems, comparison.

Every problem has |X| = 1 and step size 1 / (1 + lam), the inverse of the largest eigenvalue, so
that no step enlarges a rounding error.
"""

import numpy as np
import pytest

from tests.helpers import (
    RIDGE_FORMS,
    RIDGE_SIZES,
    relative_error,
    wide,
)

SIZES_AND_DEPTHS = list(zip(RIDGE_SIZES, [33, 2, 0, 33, 3, 40], strict=True))

forms = pytest.mark.parametrize("form", RIDGE_FORMS)
# where one form without biases and one with them stand for the others
some_forms = pytest.mark.parametrize("form", wide(RIDGE_FORMS, keep=["ridge_lsa", "ridge_elsa"]))
forms_with_zero = pytest.mark.parametrize("form", [f for f in RIDGE_FORMS if f != "ridge_lsa"])
elsa_forms = pytest.mark.parametrize("form", ["ridge_elsa", "ridge_elsa_one_layer"])


def regularisers(form):
    return [1e-3, 0.5, 10.0] + ([] if form == "ridge_lsa" else [0.0])


def solve(form, blocks, step_size, depth, **options):
    """The answer of a construction made for these blocks."""
    (n, d), num_queries = blocks["X"].shape, len(blocks.get("query_x", ()))
    make = RIDGE_FORMS[form]
    return make(n, d, depth, step_size, num_queries=num_queries, **options)(**blocks)


def assert_answers(out, blocks, w, tolerance):
    """w and the predictions, relative to the larger of answer and start."""
    floor = np.linalg.norm(blocks.get("w", 0.0))
    assert relative_error(out["w"], w, floor) <= tolerance
    assert set(out) == ({"w", "prediction"} if "query_x" in blocks else {"w"})
    if "query_x" in blocks:
        queries = blocks["query_x"]
        floor *= np.linalg.norm(queries)
        assert relative_error(out["prediction"], queries @ w, floor) <= tolerance

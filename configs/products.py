"""A product of two matrices: biases make it exactly, without them no depth makes any of it.

The prompt is [A | B | scratch | out], or [A | B | C | scratch | out], of k rows; entries are
N(0, 1/k). Stacks without biases (LSA) turn with their rows at any depth, U H -> U LSA(H), and the
product does not: of A B their relative risk is at least 1, of A B C at least 1 - 1/k^2. With
biases (ELSA) one layer makes A B, two make A B C. So does LSA whose prompt also holds I_k, which
tells it the rows: that is all that biases buy.

Run:    python -m experiments.run --config=configs/products.py
Vary:   --config.runs.AB_lsa_3.model.depth=6
        --config.runs.ABC_elsa_2.model.num_heads=2 (some seeds stay where LSA is)
Expect: A B: LSA between .98 and 1.02, ELSA below 1e-3; A B C: LSA between .92 and .96, ELSA of two
        layers below 1e-2; every seed
Time:   2 min of one CPU core; configs/products.py:quick 15 s
"""

from typing import Any

from ml_collections import ConfigDict

from configs import base


def get_config(mode: str = "full") -> ConfigDict:
    """ "full", or "quick": 2 x 2 matrices, few steps."""
    quick = base.is_quick("products", mode)
    runs: dict[str, Any] = {}
    for name, depth, heads in (
        ("AB_lsa_1", 1, 2),
        ("AB_lsa_3", 3, 2),
        ("AB_elsa_1", 1, 1),
        ("AB_rows_1", 1, 1),
        ("ABC_lsa_1", 1, 2),
        ("ABC_lsa_2", 2, 2),
        ("ABC_elsa_2", 2, 3),  # of two heads one seed in ten stays where LSA is
        ("ABC_rows_2", 2, 2),
    ):
        if quick and name not in ("AB_lsa_1", "AB_elsa_1", "ABC_lsa_1"):
            continue
        product, kind, _ = name.split("_")
        task = {"name": "products", "dim": 2 if quick else 4, "factors": len(product)}
        if kind == "rows":
            task["row_channels"] = True
        model = "block_elsa" if kind == "elsa" else "block_lsa"
        runs[name] = {
            "task": task,
            "model": {"name": model, "depth": depth, "num_heads": heads, "init_scale": 0.9},
            "sweep": {},
        }
    train = {
        "num_steps": 400 if quick else 2_000,
        "batch": 64,
        "learning_rate": 0.03 if quick else 0.01,
        "warmup": 0,
        "adam_b2": 0.99,
        "evaluate_every": 100,
        "decay": "cosine",
        "optimise": not quick,  # False compiles in about half the time
    }
    return base.trained(
        "products",
        quick,
        runs,
        train=train,
        like=base.CLIPPED,
        num_seeds=2 if quick else 3,
        eval_prompts=20_000 if quick else 50_000,
    )

"""Fixed weights read fixed places: what moving, turning, scaling and noise in the prompt cost.

The prompt of a stack that converges is packed, its weights are kept, and blocks of the prompt are
moved, transposed, exchanged, permuted, rescaled or made noisy; then the weights are rebuilt for
the new layout or problem. Every answer is compared with the ridge solution of the original problem
and, where the changed prompt poses another one, with that problem's own.

Of the constructions ridge_lsa_state, bias-free, follows the designed input of Hagiwara
(arXiv:2503.23814), and ridge_elsa the natural prompt, two layers a step; ridge_lsa, bias-free on
stacked data, and ridge_elsa_one_layer are this library's own.

Run:    python -m experiments.run --config=configs/layout_ablation.py
Vary:   --config.task.name=diabetes (random rows of the real data), --config.task.dim=6,
        --config.start=0.0 (from w = 0 the fit in the prompt of ridge_lsa cannot go stale)
Expect: unperturbed errors below 1e-10. Bias-free weights survive moves of whole rows and are
        rebuilt where whole columns keep their meaning; what lies beside the blocks shifts their
        answer. Those of ridge_lsa keep the start's errors. Those that hold w (ridge_lsa_state) and
        those with biases (ridge_elsa) forget their start and solve every problem posed in place;
        the latter ignore what lies beside the blocks, and are rebuilt for every layout at one more
        layer. Noise shifts answers by a closed form.
Time:   2 min on 2 CPU cores; configs/layout_ablation.py:quick 20 s
"""

from ml_collections import ConfigDict


def get_config(mode: str = "full") -> ConfigDict:
    """ "full", or "quick": three constructions, fewer tasks, better conditioned."""
    if mode not in ("full", "quick"):
        raise ValueError(f"layout_ablation: mode must be 'full' or 'quick', got {mode!r}")
    config = ConfigDict({"experiment": "layout_ablation", "seed": 0, "dtype": "float64"})
    config.task = ConfigDict({"name": "spectrum", "dim": 4, "context_length": 12})
    config.task.condition_number = 10.0  # of X^T X + lam I
    config.task.noise_var = 0.1  # of the labels; they have to leave a residual
    config.task.diabetes_lam = 0.2  # the regulariser where name is "diabetes"
    config.constructions = ("ridge_lsa", "ridge_lsa_state", "ridge_elsa", "ridge_elsa_one_layer")
    config.batch = 256  # tasks
    config.step_share = 0.85  # of the best step size; room for prompts that are changed
    config.accuracy = 1e-15  # of the unperturbed stack, relative to the start; gives the depth
    config.start = 1.0  # standard deviation of the start w_0; 0.0 starts at zero
    config.spare = 3  # rows and channels of the prompt that are free to move to
    config.noise = 1e-3  # of the perturbations in the table, relative to the block's size
    config.noises = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)  # of the figure, likewise
    if mode == "quick":
        config.task.condition_number = 3.0
        config.constructions = ("ridge_lsa", "ridge_lsa_state", "ridge_elsa_one_layer")
        config.batch = 32
        config.noises = (1e-6, 1e-3, 1e-1)
    return config

"""Closed forms, each with arguments that it takes."""

import jax
import numpy as np

from elsa import theory
from tests.inputs.calls import Call, Made, call
from tests.precision.data import COVARIANCE, DIM, MATRIX, ROWS, VECTOR, W, X, Y, normal

_SETTING = Made(
    lambda: theory.Setting(
        dim=DIM,
        context_length=5,
        noise_var=0.1,
        cov_x=COVARIANCE,
        cov_task=COVARIANCE,
        task_mean=VECTOR,
    )
)
_CENTRED = Made(
    lambda: theory.Setting(
        dim=DIM, context_length=5, noise_var=0.1, cov_x=COVARIANCE, cov_task=COVARIANCE
    )
)
_AFFINE = {"setting": _CENTRED, "intercept_var": 1.0}
_SIZES = {"dim": 3, "context_length": 5, "noise_var": 0.1}
_ALIGNED = {**_SIZES, "alignment": 0.5}
_LIMIT = {"dim": 3, "alignment": 0.5, "noise_var": 0.1}
_DRIFT = {"dim": 3, "noise_var": 0.1}
_SPECTRUM, _STEPS = np.array([1.0, 2.0, 3.0]), np.arange(4)
_CORRELATIONS = 0.9 ** np.abs(np.subtract.outer(np.arange(6), np.arange(6)))
_PROBLEM = {"X": X, "y": Y, "lam": 0.5}
_KEY = jax.random.key(0)


def _rates() -> dict[str, Call]:
    return {
        "accelerated_rate": call(theory.accelerated_rate, condition_number=10.0),
        "admissible_step_size": call(theory.admissible_step_size, largest=2.0),
        "best_heavy_ball": call(theory.best_heavy_ball, smallest=1.0, largest=3.0),
        "best_step_size": call(theory.best_step_size, smallest=1.0, largest=3.0),
        "chebyshev_bound": call(theory.chebyshev_bound, condition_number=3.0, steps=_STEPS),
        "chebyshev_factors": call(
            theory.chebyshev_factors, eigenvalues=_SPECTRUM, smallest=1.0, largest=3.0, last=2
        ),
        "contraction": call(theory.contraction, condition_number=3.0),
        "decay_rate": call(theory.decay_rate, condition_number=3.0),
        "error_curve": call(
            theory.error_curve, eigenvalues=_SPECTRUM, start=VECTOR, step_size=0.1, steps=_STEPS
        ),
        "gradient_descent_factors": call(
            theory.gradient_descent_factors, eigenvalues=_SPECTRUM, step_size=0.1, last=2
        ),
        "heavy_ball_bound": call(theory.heavy_ball_bound, condition_number=3.0, steps=_STEPS),
        "heavy_ball_factors": call(
            theory.heavy_ball_factors, eigenvalues=_SPECTRUM, step_size=0.1, momentum=0.1, last=2
        ),
        "newton_schulz_bound": call(theory.newton_schulz_bound, residual=0.5, steps=_STEPS),
        "newton_schulz_factors": call(
            theory.newton_schulz_factors, eigenvalues=_SPECTRUM, scale=0.1, last=2
        ),
        "relative_errors": call(theory.relative_errors, factors=np.ones((2, 3)), start=VECTOR),
        "ridge_modes": call(theory.ridge_modes, X=X, y=Y[:, 0], lam=0.5, w=VECTOR),
        "settled_at": call(theory.settled_at, errors=np.array([1.0, 0.1, 0.01]), tolerance=0.5),
        "steps_to_reach": call(theory.steps_to_reach, tolerance=1e-2, condition_number=3.0),
        "steps_until": call(theory.steps_until, bound=lambda steps: 0.5**steps, tolerance=1e-2),
        "gamma": call(theory.gamma, terms=3, unit=1e-7),
        "unit_roundoff": call(theory.unit_roundoff, dtype="float32"),
        "ridge_step_bound": call(
            theory.ridge_step_bound, X=X, y=Y, w=W, lam=0.5, step_size=0.1, unit=1e-7
        ),
    }


def _risks() -> dict[str, Call]:
    return {
        "Setting": call(
            theory.Setting, **_SIZES, cov_x=COVARIANCE, cov_task=COVARIANCE, task_mean=VECTOR
        ),
        "affine_bayes_risk": call(theory.affine_bayes_risk, **_AFFINE, key=_KEY, samples=2),
        "affine_elsa_optimum": call(theory.affine_elsa_optimum, **_AFFINE),
        "affine_floor": call(theory.affine_floor, **_AFFINE),
        "affine_lsa_optimum": call(theory.affine_lsa_optimum, **_AFFINE),
        "equivariant_floor": call(
            theory.equivariant_floor,
            target=lambda h: h[:, :1] ** 2,
            prompts=normal(2, 3, 2),
            group=theory.sign_flips(3, [0]),
        ),
        "multi_head_optimum": call(theory.multi_head_optimum, setting=_SETTING, masked=True),
        "prior_mean_gap_bound": call(theory.prior_mean_gap_bound, setting=_SETTING, masked=True),
        "product_floor": call(theory.product_floor, size=3, factors=3),
        "recall_without_positions": call(
            theory.recall_without_positions, num_pairs=3, num_values=4
        ),
        "sign_flips": call(theory.sign_flips, rows=3, flipped=[0, 2]),
        "transposed_optimum": call(theory.transposed_optimum, setting=_SETTING),
        "alignment_approximation": call(theory.alignment_approximation, **_ALIGNED),
        "alignment_limit": call(theory.alignment_limit, **_LIMIT),
        "alignment_moments": call(theory.alignment_moments, **_ALIGNED),
        "alignment_optimum": call(theory.alignment_optimum, **_ALIGNED),
        "alignment_risk": call(theory.alignment_risk, **_ALIGNED),
        "bayes_risk": call(theory.bayes_risk, setting=_SETTING, key=_KEY, samples=2),
        "drift_optimum": call(theory.drift_optimum, task_corr=_CORRELATIONS, **_DRIFT),
        "drift_risk": call(
            theory.drift_risk, sample_weights=np.ones(5), task_corr=_CORRELATIONS, **_DRIFT
        ),
        "gd_beta_flow": call(
            theory.gd_beta_flow,
            init=VECTOR,
            preconditioner=MATRIX,
            setting=_SETTING,
            times=np.array([0.0, 0.1]),
        ),
        "gd_beta_gradient": call(
            theory.gd_beta_gradient, init=VECTOR, preconditioner=MATRIX, setting=_SETTING
        ),
        "gd_beta_hessian": call(theory.gd_beta_hessian, setting=_SETTING),
        "gd_beta_optimum": call(theory.gd_beta_optimum, setting=_SETTING),
        "gd_beta_rates": call(theory.gd_beta_rates, setting=_SETTING),
        "gd_beta_risk": call(
            theory.gd_beta_risk, init=VECTOR, preconditioner=MATRIX, setting=_SETTING
        ),
        "linear_attention_optimum": call(theory.linear_attention_optimum, setting=_SETTING),
        "linear_attention_risk": call(
            theory.linear_attention_risk,
            output=normal(DIM + 1),
            key_query=normal(DIM + 1, DIM),
            setting=_SETTING,
            bias=VECTOR,
        ),
        "lora_optimum": call(theory.lora_optimum, base_weight=MATRIX, setting=_SETTING, rank=1),
        "multi_step_optimum": call(theory.multi_step_optimum, **_SIZES, steps=1),
        "multi_step_risk": call(
            theory.multi_step_risk, coefficients=np.array([0.1, 0.2]), **_SIZES
        ),
        "multi_step_sizes": call(theory.multi_step_sizes, **_SIZES, steps=1),
        "pgd_gradient": call(theory.pgd_gradient, weight=MATRIX, setting=_SETTING),
        "pgd_optimum": call(theory.pgd_optimum, setting=_SETTING, rank=1),
        "pgd_risk": call(theory.pgd_risk, weight=MATRIX, setting=_SETTING),
        "retrieval_approximation": call(theory.retrieval_approximation, **_ALIGNED),
        "retrieval_limit": call(theory.retrieval_limit, **_LIMIT),
        "retrieval_moments": call(theory.retrieval_moments, **_ALIGNED),
        "retrieval_optimum": call(theory.retrieval_optimum, **_ALIGNED),
        "retrieval_risk": call(theory.retrieval_risk, **_ALIGNED),
        "unweighted_drift_optimum": call(
            theory.unweighted_drift_optimum, task_corr=_CORRELATIONS, **_DRIFT
        ),
        "wishart_moment": call(theory.wishart_moment, dim=3, context_length=5, power=2),
    }


def _shifts() -> dict[str, Call]:
    d_x, square = normal(ROWS, DIM), MATRIX
    return {
        "ridge_loss": call(theory.ridge_loss, **_PROBLEM, w=W),
        "ridge_gradient": call(theory.ridge_gradient, **_PROBLEM, w=W),
        "natural_shift": call(theory.natural_shift, **_PROBLEM, d_x=d_x, d_y=Y, d_lam=0.1),
        "designed_shift": call(
            theory.designed_shift,
            **_PROBLEM,
            start=W,
            d_x=d_x,
            d_ridge=square,
            d_y=Y,
            d_label=W,
            d_fit=Y,
            d_w=W,
        ),
        "state_shift": call(
            theory.state_shift,
            **_PROBLEM,
            start=W,
            step_size=0.01,
            d_ridge=square,
            d_step=square,
            d_data=square,
            d_label=W,
            context_ridge=d_x,
            context_step=d_x,
            context_w=Y,
        ),
        "scratch_shift": call(
            theory.scratch_shift, X=X, lam=0.5, step_size=0.01, depth=2, d_residual=Y
        ),
        "noise_gain": call(theory.noise_gain, shift=lambda change: 2.0 * change, shape=(2, 3)),
    }


def calls() -> dict[str, Call]:
    return {f"theory.{name}": one for name, one in {**_rates(), **_risks(), **_shifts()}.items()}

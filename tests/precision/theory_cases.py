"""Closed forms, nearly all of them NumPy, and the steps to compile."""

import jax
import numpy as np

from elsa import algorithms, theory
from tests.precision.data import COVARIANCE, DIM, LAM, MATRIX, ROWS, VECTOR, W, X, Y, normal
from tests.precision.products import Case, Run, traced

_SIZES = {"dim": 3, "context_length": 5, "noise_var": 0.1}
_ALIGNED = {**_SIZES, "alignment": 0.5}
_LAWS = {"noise_var": 0.1, "cov_x": COVARIANCE, "cov_task": COVARIANCE, "task_mean": VECTOR}
_SETTING = theory.Setting(dim=DIM, context_length=5, **_LAWS)
_CENTRED = theory.Setting(dim=DIM, context_length=5, **{**_LAWS, "task_mean": None})
_FEW = theory.Setting(dim=DIM, context_length=2, **_LAWS)  # fewer rows than columns
_EIGENVALUES, _STEPS = np.array([1.0, 2.0, 3.0]), np.arange(4)
_DRIFT = {"dim": 3, "noise_var": 0.1}
_CORRELATIONS = 0.9 ** np.abs(np.subtract.outer(np.arange(6), np.arange(6)))


def _in_jax() -> dict[str, Case]:
    return {
        "ridge_loss": traced(theory.ridge_loss, X, Y, W, LAM),
        "ridge_gradient": traced(theory.ridge_gradient, X, Y, W, LAM),
        "natural_shift": traced(
            lambda d_x, d_y: theory.natural_shift(X, Y, LAM, d_x=d_x, d_y=d_y, d_lam=LAM),
            normal(ROWS, DIM),
            Y,
        ),
        "designed_shift": traced(
            lambda d_x, d_y: theory.designed_shift(X, Y, LAM, W, d_x=d_x, d_y=d_y),
            normal(ROWS, DIM),
            Y,
        ),
        "state_shift": traced(
            lambda d_ridge, d_step, d_data, context: theory.state_shift(
                *(X, Y, LAM, W, 0.01),
                d_ridge=d_ridge,
                d_step=d_step,
                d_data=d_data,
                d_label=W,
                context_ridge=context,
                context_step=context,
                context_w=Y,
            ),
            *(MATRIX, MATRIX, MATRIX),
            normal(ROWS, DIM),
        ),
        "scratch_shift": traced(lambda x, y: theory.scratch_shift(x, LAM, 0.01, 2, y), X, Y),
        "noise_gain": traced(
            lambda x: theory.noise_gain(
                lambda change: theory.natural_shift(x, Y, LAM, d_x=change), X.shape
            ),
            X,
        ),
        # it computes in float64 on the host's behalf, and refuses tracers
        "bayes_risk": Run(
            lambda: [theory.bayes_risk(s, jax.random.key(0), 2) for s in (_SETTING, _FEW)],
            products=True,
        ),
    }


def _in_numpy() -> dict[str, Case]:
    calls = {
        "ScaleMoments.scale": lambda: theory.ScaleMoments(1.0, 1.0, 2.0).scale,
        "ScaleMoments.risk": lambda: theory.ScaleMoments(1.0, 1.0, 2.0).risk,
        "Setting.centred": _SETTING.centred,
        "Setting.second_moment": lambda: _SETTING.second_moment,
        "accelerated_rate": lambda: theory.accelerated_rate(10.0),
        "affine_elsa_optimum": lambda: theory.affine_elsa_optimum(_CENTRED, intercept_var=1.0),
        "affine_floor": lambda: theory.affine_floor(_CENTRED, intercept_var=1.0),
        "affine_lsa_optimum": lambda: theory.affine_lsa_optimum(_CENTRED, intercept_var=1.0),
        "affine_bayes_risk": lambda: theory.affine_bayes_risk(
            _CENTRED, jax.random.key(0), 2, intercept_var=1.0
        ),
        "admissible_step_size": lambda: theory.admissible_step_size(2.0),
        "alignment_approximation": lambda: theory.alignment_approximation(**_ALIGNED),
        "alignment_limit": lambda: theory.alignment_limit(dim=3, alignment=0.5, noise_var=0.1),
        "alignment_moments": lambda: theory.alignment_moments(**_ALIGNED),
        "alignment_optimum": lambda: theory.alignment_optimum(**_ALIGNED),
        "alignment_risk": lambda: theory.alignment_risk(**_ALIGNED),
        "best_heavy_ball": lambda: theory.best_heavy_ball(1.0, 3.0),
        "best_step_size": lambda: theory.best_step_size(1.0, 3.0),
        "chebyshev_bound": lambda: theory.chebyshev_bound(3.0, _STEPS),
        "chebyshev_factors": lambda: theory.chebyshev_factors(_EIGENVALUES, 1.0, 3.0, 2),
        "contraction": lambda: theory.contraction(3.0),
        "decay_rate": lambda: theory.decay_rate(3.0),
        "drift_optimum": lambda: theory.drift_optimum(_CORRELATIONS, **_DRIFT),
        "drift_risk": lambda: theory.drift_risk(np.ones(5), _CORRELATIONS, **_DRIFT),
        "equivariant_floor": lambda: theory.equivariant_floor(
            lambda h: h, normal(2, 3, 2), theory.sign_flips(3, [0])
        ),
        "error_curve": lambda: theory.error_curve(_EIGENVALUES, VECTOR, 0.1, _STEPS),
        "gamma": lambda: theory.gamma(3, 1e-7),
        "gd_beta_flow": lambda: theory.gd_beta_flow(VECTOR, MATRIX, _SETTING, [0.0, 0.1]),
        "gd_beta_gradient": lambda: theory.gd_beta_gradient(VECTOR, MATRIX, _SETTING),
        "gd_beta_hessian": lambda: theory.gd_beta_hessian(_SETTING),
        "gd_beta_optimum": lambda: theory.gd_beta_optimum(_SETTING),
        "gd_beta_rates": lambda: theory.gd_beta_rates(_SETTING),
        "gd_beta_risk": lambda: theory.gd_beta_risk(VECTOR, MATRIX, _SETTING),
        "gradient_descent_factors": lambda: theory.gradient_descent_factors(_EIGENVALUES, 0.1, 2),
        "heavy_ball_bound": lambda: theory.heavy_ball_bound(3.0, _STEPS),
        "heavy_ball_factors": lambda: theory.heavy_ball_factors(_EIGENVALUES, 0.1, 0.1, 2),
        "linear_attention_optimum": lambda: theory.linear_attention_optimum(_SETTING),
        "linear_attention_risk": lambda: theory.linear_attention_risk(
            normal(DIM + 1), normal(DIM + 1, DIM), _SETTING
        ),
        "lora_optimum": lambda: theory.lora_optimum(MATRIX, _SETTING, rank=1),
        "multi_head_optimum": lambda: theory.multi_head_optimum(_SETTING),
        "multi_step_optimum": lambda: theory.multi_step_optimum(**_SIZES, steps=1),
        "multi_step_risk": lambda: theory.multi_step_risk([0.1], **_SIZES),
        "multi_step_sizes": lambda: theory.multi_step_sizes(**_SIZES, steps=1),
        "newton_schulz_bound": lambda: theory.newton_schulz_bound(0.5, _STEPS),
        "newton_schulz_factors": lambda: theory.newton_schulz_factors(_EIGENVALUES, 0.1, 2),
        "pgd_gradient": lambda: theory.pgd_gradient(MATRIX, _SETTING),
        "pgd_optimum": lambda: theory.pgd_optimum(_SETTING, rank=1),
        "pgd_risk": lambda: theory.pgd_risk(MATRIX, _SETTING),
        "prior_mean_gap_bound": lambda: theory.prior_mean_gap_bound(_SETTING),
        "product_floor": lambda: theory.product_floor(size=2, factors=3),
        "recall_without_positions": lambda: theory.recall_without_positions(
            num_pairs=3, num_values=2
        ),
        "relative_errors": lambda: theory.relative_errors(np.ones((2, 3)), VECTOR),
        "retrieval_approximation": lambda: theory.retrieval_approximation(**_ALIGNED),
        "retrieval_limit": lambda: theory.retrieval_limit(dim=3, alignment=0.5, noise_var=0.1),
        "retrieval_moments": lambda: theory.retrieval_moments(**_ALIGNED),
        "retrieval_optimum": lambda: theory.retrieval_optimum(**_ALIGNED),
        "retrieval_risk": lambda: theory.retrieval_risk(**_ALIGNED),
        "ridge_modes": lambda: theory.ridge_modes(X, Y[:, 0], 0.5),
        "ridge_step_bound": lambda: theory.ridge_step_bound(X, Y, W, 0.5, 0.1, 1e-7),
        "settled_at": lambda: theory.settled_at([1.0, 0.1, 0.01], 0.5),
        "sign_flips": lambda: theory.sign_flips(3, [0, 2]),
        "steps_to_reach": lambda: theory.steps_to_reach(1e-2, 3.0),
        "steps_until": lambda: theory.steps_until(lambda steps: 0.5**steps, 1e-2),
        "transposed_optimum": lambda: theory.transposed_optimum(_SETTING),
        "unit_roundoff": lambda: theory.unit_roundoff(np.float32),
        "unweighted_drift_optimum": lambda: theory.unweighted_drift_optimum(
            _CORRELATIONS, **_DRIFT
        ),
        "wishart_moment": lambda: theory.wishart_moment(dim=3, context_length=5, power=2),
    }
    return {name: Run(call) for name, call in calls.items()}


def _algorithms() -> dict[str, Case]:
    """Making a step computes nothing; the step itself is plain JAX, of the caller's kind."""
    calls = {
        "chebyshev": lambda: algorithms.chebyshev(smallest=1.0, largest=3.0),
        "gd_plus_plus": lambda: algorithms.gd_plus_plus(step_size=0.1, curvature=0.1),
        "gradient_descent": lambda: algorithms.gradient_descent(0.1),
        "heavy_ball": lambda: algorithms.heavy_ball(step_size=0.1, momentum=0.1),
        "lyapunov": lambda: algorithms.lyapunov(0.1),
        "matrix_factorisation": lambda: algorithms.matrix_factorisation(0.1),
        "matrix_polynomial": lambda: algorithms.matrix_polynomial([1.0, 2.0]),
        "matrix_power": lambda: algorithms.matrix_power(3),
        "multi_output_ridge": lambda: algorithms.multi_output_ridge(0.1),
        "newton_schulz_inverse": algorithms.newton_schulz_inverse,
        "newton_schulz_ridge": algorithms.newton_schulz_ridge,
        "oja_flow": lambda: algorithms.oja_flow(0.1),
        "polar": algorithms.polar,
        "power_iteration": algorithms.power_iteration,
        "preconditioned_gradient_descent": lambda: algorithms.preconditioned_gradient_descent(
            MATRIX
        ),
        "sylvester": lambda: algorithms.sylvester(0.1),
    }
    return {f"algorithms.{name}": Run(call) for name, call in calls.items()}


def cases() -> dict[str, Case]:
    closed = {**_in_jax(), **_in_numpy()}
    return {**{f"theory.{name}": case for name, case in closed.items()}, **_algorithms()}

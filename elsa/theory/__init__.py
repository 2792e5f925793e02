"""Closed forms: what a construction or a trained model must reach."""

from elsa.theory.affine import (
    affine_bayes_risk,
    affine_elsa_optimum,
    affine_floor,
    affine_lsa_optimum,
)
from elsa.theory.alignment import (
    alignment_approximation,
    alignment_limit,
    alignment_moments,
    alignment_optimum,
    alignment_risk,
)
from elsa.theory.bayes import bayes_risk
from elsa.theory.drift import drift_optimum, drift_risk, unweighted_drift_optimum
from elsa.theory.equivariance import equivariant_floor, product_floor, sign_flips
from elsa.theory.flow import GdBetaFlow, gd_beta_flow
from elsa.theory.gd_beta import (
    gd_beta_gradient,
    gd_beta_hessian,
    gd_beta_optimum,
    gd_beta_rates,
    gd_beta_risk,
)
from elsa.theory.gradient_descent import (
    admissible_step_size,
    best_step_size,
    contraction,
    decay_rate,
    error_curve,
    ridge_modes,
    steps_to_reach,
)
from elsa.theory.iterations import (
    accelerated_rate,
    best_heavy_ball,
    chebyshev_bound,
    chebyshev_factors,
    gradient_descent_factors,
    heavy_ball_bound,
    heavy_ball_factors,
    newton_schulz_bound,
    newton_schulz_factors,
    relative_errors,
    settled_at,
    steps_until,
)
from elsa.theory.linear_attention import (
    LinearAttentionOptimum,
    linear_attention_optimum,
    linear_attention_risk,
)
from elsa.theory.lora import lora_optimum
from elsa.theory.multi_step import (
    multi_step_optimum,
    multi_step_risk,
    multi_step_sizes,
    wishart_moment,
)
from elsa.theory.perturbation import (
    designed_shift,
    natural_shift,
    noise_gain,
    scratch_shift,
    state_shift,
)
from elsa.theory.pgd import pgd_gradient, pgd_optimum, pgd_risk
from elsa.theory.prior_mean import (
    MultiHeadOptimum,
    multi_head_optimum,
    prior_mean_gap_bound,
)
from elsa.theory.recall import recall_without_positions
from elsa.theory.results import (
    AffineStep,
    Estimate,
    HeavyBall,
    Interval,
    PolynomialStep,
    Rates,
    RidgeModes,
    ScaledStep,
    StartedStep,
    StartedStepGradient,
    Step,
    WeightedStep,
)
from elsa.theory.retrieval import (
    retrieval_approximation,
    retrieval_limit,
    retrieval_moments,
    retrieval_optimum,
    retrieval_risk,
)
from elsa.theory.ridge import ridge_gradient, ridge_loss
from elsa.theory.rounding import gamma, ridge_step_bound, unit_roundoff
from elsa.theory.scale import ScaleMoments
from elsa.theory.setting import Setting
from elsa.theory.transposed import transposed_optimum

__all__ = [
    "AffineStep",
    "Estimate",
    "GdBetaFlow",
    "HeavyBall",
    "Interval",
    "LinearAttentionOptimum",
    "MultiHeadOptimum",
    "PolynomialStep",
    "Rates",
    "RidgeModes",
    "ScaleMoments",
    "ScaledStep",
    "Setting",
    "StartedStep",
    "StartedStepGradient",
    "Step",
    "WeightedStep",
    "accelerated_rate",
    "admissible_step_size",
    "affine_bayes_risk",
    "affine_elsa_optimum",
    "affine_floor",
    "affine_lsa_optimum",
    "alignment_approximation",
    "alignment_limit",
    "alignment_moments",
    "alignment_optimum",
    "alignment_risk",
    "bayes_risk",
    "best_heavy_ball",
    "best_step_size",
    "chebyshev_bound",
    "chebyshev_factors",
    "contraction",
    "decay_rate",
    "designed_shift",
    "drift_optimum",
    "drift_risk",
    "equivariant_floor",
    "error_curve",
    "gamma",
    "gd_beta_flow",
    "gd_beta_gradient",
    "gd_beta_hessian",
    "gd_beta_optimum",
    "gd_beta_rates",
    "gd_beta_risk",
    "gradient_descent_factors",
    "heavy_ball_bound",
    "heavy_ball_factors",
    "linear_attention_optimum",
    "linear_attention_risk",
    "lora_optimum",
    "multi_head_optimum",
    "multi_step_optimum",
    "multi_step_risk",
    "multi_step_sizes",
    "natural_shift",
    "newton_schulz_bound",
    "newton_schulz_factors",
    "noise_gain",
    "pgd_gradient",
    "pgd_optimum",
    "pgd_risk",
    "prior_mean_gap_bound",
    "product_floor",
    "recall_without_positions",
    "relative_errors",
    "retrieval_approximation",
    "retrieval_limit",
    "retrieval_moments",
    "retrieval_optimum",
    "retrieval_risk",
    "ridge_gradient",
    "ridge_loss",
    "ridge_modes",
    "ridge_step_bound",
    "scratch_shift",
    "settled_at",
    "sign_flips",
    "state_shift",
    "steps_to_reach",
    "steps_until",
    "transposed_optimum",
    "unit_roundoff",
    "unweighted_drift_optimum",
    "wishart_moment",
]

import dataclasses
import itertools

import numpy as np
import pytest

from elsa import theory
from tests.helpers import table
from tests.theory import helpers, one_layer


def example(length, *, noise_var=0.1):
    """d = 4, n = 16, H = Psi = I and a mean of that length."""
    mean = length * np.full(4, 0.5)
    return theory.Setting(dim=4, context_length=16, noise_var=noise_var, task_mean=mean)


def draw(n, d, noise_var, rank, seed=3):
    rng = np.random.default_rng(seed)
    centred = helpers.random_setting(rng, n, d, noise_var, rank)
    return dataclasses.replace(centred, task_mean=rng.normal(size=d))


# (n, d, noise_var, rank of Psi)
SETTINGS = [(1, 1, 0.0, 1), (2, 4, 0.3, 4), (7, 1, 0.5, 1), (5, 3, 0.0, 2), (6, 2, 0.2, 0)]


def gram_moments(setting):
    """E[g g^T], [m^2, m^2], and E[g b^T], [m^2, d], of g = vec G, by a product rule over tasks."""
    H, n, d = setting.cov_x, setting.context_length, setting.dim
    values, vectors = np.linalg.eigh(setting.cov_task)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    points, weights = np.polynomial.hermite_e.hermegauss(3)
    m = d + 1
    exchange = np.eye(m * m).reshape(m, m, m, m).swapaxes(0, 1).reshape(m * m, m * m)
    moment, cross = np.zeros((m * m, m * m)), np.zeros((m * m, d))
    for index in itertools.product(range(3), repeat=d):
        weight = np.prod(weights[list(index)] / np.sqrt(2 * np.pi))
        b = setting.task_mean + root @ points[list(index)]
        corner = np.array([[b @ H @ b + setting.noise_var]])
        K = np.block([[H, (H @ b)[:, None]], [(H @ b)[None], corner]])
        pairs = np.kron(K, K) @ (np.eye(m * m) + exchange)
        moment += weight * (n**2 * np.outer(K.ravel(), K.ravel()) + n * pairs)
        cross += weight * n * np.outer(K.ravel(), b)
    return moment, cross


def label_var(setting):
    return float(np.trace(setting.cov_x @ setting.second_moment)) + setting.noise_var


def test_the_numbers_of_four_dimensions():
    risks = {
        length: [
            theory.gd_beta_optimum(example(length)).risk,
            theory.multi_head_optimum(example(length)).risk,
            theory.linear_attention_optimum(example(length)).risk,
        ]
        for length in (2.0, 4.0)
    }
    assert risks[2.0] == pytest.approx([1.0668, 1.1880, 1.8007], abs=6e-5)
    assert risks[4.0] == pytest.approx([1.0668, 1.5517, 3.7175], abs=6e-5)


@pytest.mark.parametrize("sizes", SETTINGS)
def test_it_is_the_projection_on_all_entries_of_the_gram_matrix(sizes):
    setting = draw(*sizes)
    found = theory.multi_head_optimum(setting)
    moment, cross = gram_moments(setting)
    gain = np.trace(setting.cov_x @ cross.T @ np.linalg.pinv(moment, 1e-12, hermitian=True) @ cross)
    assert found.risk == pytest.approx(
        label_var(setting) - gain, rel=1e-8
    )  # M^+ is ill-conditioned


@pytest.mark.parametrize("sizes", [*SETTINGS, (4, 2, 0.1, 2)])
def test_its_weights_have_its_risk(sizes):
    setting = draw(*sizes)
    found = theory.multi_head_optimum(setting)
    moment, cross = gram_moments(setting)
    A = found.key_query.reshape(-1, setting.dim) / setting.context_length
    H = setting.cov_x
    risk = label_var(setting) - 2 * np.trace(H @ A.T @ cross) + np.trace(H @ A.T @ moment @ A)
    assert risk == pytest.approx(found.risk, rel=1e-9)
    assert found.query_scale == 0.0


def predictor(found, setting):
    """sum_h (G V_h x)_h / n + a (x^T H^+ x)(b* . x), written out."""
    inverse = np.linalg.pinv(setting.cov_x, hermitian=True)

    def predict(drawn):
        tokens = np.concatenate([drawn.x, drawn.y[:, :, None]], axis=2)
        gram = tokens.swapaxes(1, 2) @ tokens / setting.context_length
        read = np.einsum("bhc,hca,ba->b", gram, found.key_query, drawn.query_x, optimize=True)
        own = np.einsum("ba,ac,bc->b", drawn.query_x, inverse, drawn.query_x, optimize=True)
        return read + found.query_scale * own * (drawn.query_x @ setting.task_mean)

    return predict


@pytest.mark.parametrize("seed, sizes", list(enumerate(SETTINGS)))
def test_sampled_risks_agree(seed, sizes):
    setting = draw(*sizes)

    def sample(rng, batch):
        return helpers.independent(rng, batch, setting)

    found = [theory.multi_head_optimum(setting, masked=masked) for masked in (True, False)]
    cases = [(predictor(one, setting), one.risk) for one in found]
    helpers.assert_risks(sample, cases, seed=seed, batch=50_000)


@pytest.mark.parametrize("roles, masked", [(False, True), (False, False), (True, False)])
def test_no_layer_is_better_with_or_without_the_roles_of_rows(masked, roles):
    """With them, which is what biases are, the best is GD-beta."""
    setting = theory.Setting(
        dim=2, context_length=5, noise_var=0.3, cov_x=np.diag([1.0, 0.5]), task_mean=[2.0, -1.0]
    )
    alone = theory.multi_head_optimum(setting, masked=masked).risk
    risk = theory.gd_beta_optimum(setting).risk if roles else alone

    def sample(rng, batch):
        prompt = helpers.independent(rng, batch, setting)
        return one_layer.stacked(prompt, roles=roles, masked=masked)

    one_layer.assert_best_risk(sample, risk, seed=5)


@table("masked", [True, False])
@table("sizes", SETTINGS)
def test_the_gap_is_below_its_bound_which_it_attains_without_noise(sizes, masked):
    setting = draw(*sizes)
    least = theory.gd_beta_optimum(setting).risk
    gap = theory.multi_head_optimum(setting, masked=masked).risk - least
    bound = theory.prior_mean_gap_bound(setting, masked=masked)
    mean, rank = setting.task_mean, np.linalg.matrix_rank(setting.cov_x)
    size = setting.context_length * rank + 2 + (0 if masked else rank + 2)
    assert bound == pytest.approx(2 * mean @ setting.cov_x @ mean / size, rel=1e-12)
    assert 0 < gap <= bound + 1e-12
    if setting.noise_var == 0.0:
        assert gap == pytest.approx(bound, rel=1e-10)


def test_one_head_is_worse_and_more_context_better():
    risks = []
    for n in (2, 40):
        setting = theory.Setting(dim=2, context_length=n, noise_var=0.1, task_mean=[1.0, 2.0])
        many = theory.multi_head_optimum(setting).risk
        assert theory.gd_beta_optimum(setting).risk < many
        assert many < theory.linear_attention_optimum(setting).risk
        assert theory.multi_head_optimum(setting, masked=False).risk < many
        risks.append(many)
    assert risks == sorted(risks, reverse=True)


def test_a_covariate_that_is_always_zero_is_not_seen_and_nothing_is_predicted_as_nothing():
    sizes = {"context_length": 4, "noise_var": 0.3}
    one = theory.Setting(dim=1, cov_x=[[2.0]], cov_task=[[0.5]], task_mean=[1.0], **sizes)
    laws = {"cov_x": np.diag([2.0, 0.0]), "cov_task": np.eye(2) / 2, "task_mean": [1.0, 3.0]}
    two = theory.Setting(dim=2, **laws, **sizes)
    for masked in (True, False):
        lone, padded = (theory.multi_head_optimum(s, masked=masked) for s in (one, two))
        assert padded.risk == pytest.approx(lone.risk, rel=1e-12)
    silent = theory.Setting(dim=1, context_length=1, noise_var=0.0, cov_task=[[0.0]])
    nothing = theory.multi_head_optimum(silent)
    assert nothing.risk == 0.0 and not nothing.key_query.any()


def test_without_a_mean_it_is_one_preconditioned_step():
    setting = draw(5, 3, 0.2, 3).centred()
    assert theory.multi_head_optimum(setting).risk == theory.pgd_optimum(setting).risk
    assert theory.prior_mean_gap_bound(setting) == 0.0


@table("function", [theory.multi_head_optimum, theory.prior_mean_gap_bound])
def test_bad_arguments(function):
    with pytest.raises(TypeError, match=r"setting must be a theory\.Setting, got int"):
        function(3)
    with pytest.raises(TypeError, match="masked must be True or False"):
        function(example(1.0), masked=1)

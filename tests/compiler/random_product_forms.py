"""Sums of element-wise products, updates at constant places, and reshapes that are undone.

See random_forms.
"""

from tests.compiler.random_forms import fuel_for_two


def rows_by_column(w, shape, fuel):
    """X^T u."""
    (m,), k = shape, w.size()
    a, b = fuel_for_two(w, fuel)
    x, u = w.expression((k, m), a), w.expression((k,), b)
    form = w.pick(
        [
            "jnp.sum({1}[:, None] * {0}, 0)",
            "jnp.mean({0} * {1}[:, None], axis=0)",
            "jnp.einsum('ij,i->j', {0}, {1})",
            "jax.vmap(lambda r, s: s * r)({0}, {1}).sum(0)",
            "jax.vmap(jax.grad(lambda z, r, s: (r @ z) * s), (None, 0, 0))({2}, {0}, {1}).mean(0)",
            "jnp.sum({0} * {1}[:, None] - {2}, 0)",
            "jnp.sum(jnp.square({0} - {0}[:1]) * {1}.sum() * 0.0 + {0}, axis=0)",
        ]
    )
    return f"{form.format(x, u, w.leaf((m,)))} / {k}"


def updated_vector(w, shape, fuel):
    (n,) = shape
    a, b = fuel_for_two(w, fuel)
    place = int(w.rng.integers(-n, n))
    form = w.pick(
        [
            "{0}.at[{2}].set({1}[{2}])",
            "{0}.at[{2}].set(0.5)",
            "{0}.at[np.array([{2}, {2}])].add({1}[:1])",
            "{0}.at[{2}].multiply(0.5)",
            "{0}.at[{2}].subtract({1}[0])",
            "lax.dynamic_update_slice({0}, {1}[:1], ({2},))",
            "jnp.convolve({0}, np.array([0.5, 0.25]))[: len({0})]",
            "jnp.repeat({0}, 2)[::2] + 0.5 * {1}",
            "jnp.linalg.solve(2.0 * np.eye(len({0})) + 0.5 * np.tri(len({0})), {0})",
        ]
    )
    return form.format(f"jnp.asarray({w.expression(shape, a)})", w.expression(shape, b), place)


def outer_products(w, shape, fuel):
    """X^T Y."""
    (n, m), k = shape, w.size()
    a, b = fuel_for_two(w, fuel)
    form = w.pick(
        [
            "jax.vmap(jnp.outer)({0}, {1}).sum(0)",
            "({0}[:, :, None] * {1}[:, None]).mean(0)",
            "jnp.einsum('ki,k,kj->ij', {0}, np.arange(1.0, {2} + 1.0), {1})",
            "jax.hessian(lambda z: jnp.vdot({0} @ z[:{3}], {1} @ z[{3}:]))"
            "(np.zeros({3} + {4}))[:{3}, {3}:]",
        ]
    )
    x, y = w.expression((k, n), a), w.expression((k, m), b)
    return f"{form.format(x, y, k, n, m)} / {k}"


def updated_matrix(w, shape, fuel):
    n, m = shape
    a, b = fuel_for_two(w, fuel)
    row, column = int(w.rng.integers(-n, n)), int(w.rng.integers(-m, m))
    form = w.pick(
        [
            "{0}.at[{2}].set({1}[{2}])",
            "{0}.at[:, {3}].add({1}[:, {3}])",
            "{0}.at[{2}, {3}].set(0.5)",
            "{0}.at[np.array([{2}, {2}]), np.array([{3}, 0])].add(0.25)",
            "{0}.at[{2}].multiply(0.5)",
            "lax.dynamic_update_slice({0}, {1}[:1, :1], ({2}, {3}))",
            "({0}.ravel() * np.linspace(0.5, 1.0, {0}.size)).reshape({0}.shape) + 0.5 * {1}",
            "(0.5 * {0}.ravel() - 0.5 * {1}.ravel()).reshape({0}.shape)",
            "jnp.kron({0}, np.array([[0.5], [1.0]]))[1::2]",
            "jnp.kron(np.array([[0.5, 1.0]]), {0})[:, : {0}.shape[1]]",
            "jnp.repeat({0}, 2, axis=1)[:, ::2]",
        ]
    )
    given = f"jnp.asarray({w.expression(shape, a)})"
    return form.format(given, w.expression(shape, b), row, column)


def products_summed(w, shape, fuel):
    k, m = w.size(), w.size()
    a, b = fuel_for_two(w, fuel)
    form = w.pick(
        [
            "jnp.sum({0} * {1})",
            "jnp.vdot({0}, {1})",
            "jnp.mean({0} * {1})",
            "jnp.sum(({0} - {1}) ** 2)",
            "jnp.sum({0} * {1}, axis=0).sum()",
            "jnp.einsum('ij,ij->i', {0}, {1}).mean()",
            "jax.vmap(jnp.vdot)({0}, {1}).sum()",
            "jnp.sum(jnp.where(np.tri({2}, {3}) > 0, {0} * {1}, 0.5))",
            "jnp.var({0})",
        ]
    )
    x, y = w.expression((k, m), a), w.expression((k, m), b)
    return f"{form.format(x, y, k, m)} / {k * m}"


VECTOR = [rows_by_column, updated_vector]
MATRIX = [outer_products, updated_matrix]
NUMBER = [products_summed]

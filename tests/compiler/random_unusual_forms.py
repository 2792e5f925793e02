"""Library calls that may be more than the compiler knows: right, or refused, but never a crash.

{0} is an expression of the shape wanted, {1} another one.
"""

ANY = (
    "jnp.clip({0}, -9.0, 9.0)",
    "jnp.nan_to_num({0})",
    "jnp.real({0} + 0j)",
    "lax.optimization_barrier(({0}, 3))[0]",
    "jnp.astype({0}, {0}.dtype)",
    "jnp.select([np.array(False)], [{1}], {0})",
    "jnp.float_power({0}, 1)",
    "lax.integer_pow({0}, 1)",
    "{0} ** 0 + {0}",
    "jax.linearize(lambda x: 0.5 * x, {0})[1]({1})",
    "{0} - 0.0 * jnp.exp({0})",
    "lax.custom_root(lambda x: x - {0}, {0}, lambda f, x: x, lambda f, y: y)",
    "lax.platform_dependent({0}, cpu=lambda x: 0.5 * x, default=lambda x: 0.5 * x)",
    "jax.pure_callback(np.asarray, {0}, {0})",
    "jax.random.normal(jax.random.key(0), {0}.shape) + {0}",
    "lax.reduce_precision({0}, 8, 23)",
    "jnp.asarray({0}, jnp.float16).astype({0}.dtype)",
    "lax.while_loop(lambda x: x.sum() > 1e9, lambda x: 0.5 * x, {0})",
    "lax.cond({0}.sum() > 1e9, lambda x: 0.5 * x, lambda x: x, {0})",
)
AXES = (
    "{0}.at[0].set(0.5)",
    "{0}.at[-1].add({0}[0])",
    "{0}.at[0].multiply(2.0)",
    "lax.dynamic_update_slice_in_dim({0}, 0.5 * {0}[:1], 0, 0)",
    "jnp.repeat({0}, 2, axis=0)[::2]",
    "jnp.repeat({0}, 1, axis=0)",
    "jnp.delete(jnp.concatenate([{0}, {0}]), 0, axis=0)[: len({0})]",
    "jnp.insert({0}, 0, 1.0, axis=0)[1:]",
    "jnp.append({0}, {1}, axis=0)[: len({1})]",
    "lax.associative_scan(jnp.add, {0})",
    "jnp.concatenate([{0}, {0}[:0]])",
    "{0}[len({0}) :].sum() + {0}",
    "jnp.zeros((0, 3)).sum() + {0}[jnp.array([], int)].sum() + {0}",
    "jax.grad(lambda x: jnp.sum(x[jnp.array([0, 0])]))({0})",
    "jnp.gradient({0}, axis=0) if len({0}) > 1 else {0}",
    "jax.jacobian(lambda x: x.sum(0))({0}).sum() * {0}",
    "jax.vmap(lambda r: jnp.vdot(r, r))({0}[:, None]).sum() * {0}",
    "jax.vmap(lambda r: lax.fori_loop(0, 2, lambda i, x: 0.5 * x, r))({0})",
    "jax.vmap(lambda r: lax.cond(True, lambda x: 0.5 * x, jnp.sin, r))({0})",
    "jnp.fft.ifft(jnp.fft.fft({0})).real",
    "jnp.argsort({0}, axis=0) * 0.0 + {0}",
    "jnp.take({0}, jnp.argmax({0}[..., None][:, 0]), axis=0) + {0}",
    "lax.fori_loop(0, len({0}), lambda i, x: x + {0}[i] - {0}[-i], {1})",
    "lax.map(lambda i: {0}[i], jnp.arange(len({0})))",
    "lax.scan(lambda c, i: (c, lax.dynamic_index_in_dim({0}, i, 0)), 0, np.arange(1))[1][0] + {0}",
)
MATRIX = (
    "jnp.kron({0}, np.eye(1))",
    "jnp.linalg.matrix_power({0} @ {1}.T, 2) @ {0}",
    "jnp.rot90(jnp.rot90({0}), 2)[::-1, ::-1].T[::-1]",
    "jnp.block([[{0}], [{1}]])[: len({0})]",
    "jnp.einsum('ij,ij,ij->ij', {0}, {1}, {1})",
    "jnp.einsum('ij,jk,kl->il', {0}, {1}.T, {0})",
    "jnp.linalg.solve({0} @ {0}.T, {0})",
    "jnp.einsum('ij,ij->i', {0}, {1})[:, None] * {0}",
    "lax.squeeze({0}[None], (0,))",
    "jnp.apply_along_axis(lambda r: 0.5 * r, 1, {0})",
    "{0}.reshape(-1)[: len({0})][:, None] + {0}",
    "{0} * np.array([[np.inf]])",
    "{0} / (1e-310 * jnp.ones((1, 1)))",
    "{0} / jnp.tri(*{0}.shape)",
    "lax.dot({0}, {1}.T, preferred_element_type=jnp.float32) @ {0}",
    "lax.dot({0}, {1}.T, precision=lax.Precision.HIGH) @ {0}",
    "lax.dot_general({0}, {1}, (((), ()), ((0, 1), (0, 1))))",
    "jnp.diag(jnp.broadcast_to({0}[0, 0], (len({0}), len({0})))) [:, None] + {0}",
    "jnp.broadcast_to({0}[:, :1], {0}.shape)[jnp.array([-1] * len({0}))]",
    "jnp.broadcast_to({0}[:1], {0}.shape)[:, jnp.array([-1] * {0}.shape[1])]",
    "jnp.broadcast_to({0}[:, :1], {0}.shape).reshape({0}.shape, order='F')",
)
VECTOR = (
    "jnp.convolve({0}, np.ones(3), mode='same')[: len({0})]",
    "jnp.trapezoid({0}) * {0}",
    "jnp.polyval({0}, 0.5) * {0}",
    "jnp.ediff1d(jnp.append({0}, 0.0))",
    "jnp.cumulative_sum({0})",
    "jnp.repeat({0}, 2)[::2]",
    "jnp.diag({0}).diagonal()",
    "jnp.vander({0}, 2).sum() * {0}",
    "jnp.interp(0.5, np.arange(float(len({0}))), {0}) + {0}",
)


def unusual(w, shape, fuel):
    """One of them, with operands."""
    forms = (*ANY, *(AXES if shape else ()), *((), VECTOR, MATRIX)[len(shape)])
    return w.pick(forms).format(w.expression(shape, fuel), w.leaf(shape))

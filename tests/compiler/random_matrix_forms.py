"""Forms that an expression of two axes may have: see random_forms."""

from tests.compiler.random_forms import fuel_for_two


def matmul(w, shape, fuel):
    (n, m), k = shape, w.size()
    a, b = fuel_for_two(w, fuel)
    form = w.pick(
        [
            "{a} @ {b}",
            "jnp.matmul({a}, {b})",
            "jnp.dot({a}, {b})",
            "lax.dot({a}, {b})",
            "jnp.tensordot({a}, {b}, axes=1)",
            "jnp.einsum('ij,jk->ik', {a}, {b})",
            "jnp.einsum('ji,jk->ik', {at}, {b})",
            "jnp.einsum('ij,kj->ik', {a}, {bt})",
            "jnp.einsum('ji,kj->ik', {at}, {bt})",
            "jnp.inner({a}, {bt})",
            "({bt} @ {at}).T",
        ]
    )
    operands = {
        "a": w.expression((n, k), a),
        "b": w.expression((k, m), b),
        "at": w.expression((k, n), a),
        "bt": w.expression((m, k), b),
    }
    return f"{form.format(**operands)} / {k}"


def three(w, shape, fuel):
    (n, m), k, j = shape, w.size(), w.size()
    a, b, c = w.leaf((n, k)), w.expression((k, j), fuel), w.leaf((j, m))
    form = w.pick(["{} @ {} @ {}", "{} @ ({} @ {})", "jnp.linalg.multi_dot([{}, {}, {}])"])
    return f"{form.format(a, b, c)} / {k * j}"


def turned(w, shape, fuel):
    n, m = shape
    form = w.pick(
        ["{}.T", "jnp.swapaxes({}, 0, 1)", "jnp.transpose({})", "jnp.einsum('ij->ji', {})"]
    )
    return form.format(w.expression((m, n), fuel))


def cut(w, shape, fuel):
    n, m = shape
    up, left, down = (int(i) for i in w.rng.integers(0, 3, 3))
    whole = w.expression((n + up + down, m + left), fuel)
    form = w.pick(
        [
            f"{whole}[{up}:{up + n}, {left}:]",
            f"lax.dynamic_slice({whole}, ({up}, {left}), ({n}, {m}))",
            f"lax.dynamic_slice({whole}, ({up + 9}, {-left}), ({n}, {m}))",
            f"lax.slice({whole}, ({up}, {left}), ({up + n}, {left + m}))",
            f"jnp.split({whole}, [{up}, {up + n}])[1][:, {left}:]",
            f"lax.pad({whole}, 0.0, (({-up}, {-down}, 0), ({-left}, 0, 0)))",
        ]
    )
    return form


def strided(w, shape, fuel):
    n, m = shape
    whole = w.expression((2 * n, m), fuel)
    return w.pick([f"{whole}[::2]", f"{whole}[::-2]", f"{whole}[1::2, ::-1]"])


def indexed(w, shape, fuel):
    n, m = shape
    high, wide = w.size(), w.size()
    rows = w.rng.integers(-high, high, n).tolist()
    columns = w.rng.integers(-wide, wide, m).tolist()
    far = w.rng.integers(-2 * high, 2 * high, n).tolist()
    by_rows = w.expression((high, m), fuel)
    return w.pick(
        [
            f"{by_rows}[jnp.array({rows})]",
            f"{by_rows}[np.array({rows})]",
            f"{w.expression((n, wide), fuel)}[:, np.array({columns})]",
            f"jnp.take({by_rows}, np.array({far}), axis=0, mode='clip')",
            f"jnp.take({by_rows}, np.array({far}), axis=0, mode='wrap')",
            f"jnp.take({by_rows}, np.array({far}), axis=0, mode='fill', fill_value={w.number()})"
            if not w.takes_t
            else f"{by_rows}[jnp.array({far})]",
            f"{by_rows}.at[jnp.array({far})].get(mode='fill', fill_value=0.5)",
        ]
    )


def joined(w, shape, fuel):
    n, m = shape
    a, b = fuel_for_two(w, fuel)
    if n > 1 and w.chance(0.5):
        first = int(w.rng.integers(1, n))
        parts = f"[{w.expression((first, m), a)}, {w.expression((n - first, m), b)}]"
        return w.pick([f"jnp.concatenate({parts})", f"jnp.vstack({parts})"])
    if m > 1:
        first = int(w.rng.integers(1, m))
        other = w.pick([w.expression((n, m - first), b), w.constant(n, m - first)])
        parts = f"[{w.expression((n, first), a)}, {other}]"
        return w.pick([f"jnp.concatenate({parts}, axis=1)", f"jnp.hstack({parts})"])
    return None


def stacked(w, shape, fuel):
    n, m = shape
    if n <= 3 and w.chance(0.5):
        parts = ", ".join(w.expression((m,), fuel if i == 0 else 0) for i in range(n))
        return f"jnp.stack([{parts}])"
    if m <= 3:
        parts = ", ".join(w.expression((n,), fuel if i == 0 else 0) for i in range(m))
        return f"jnp.stack([{parts}], axis=1)"
    return None


def padded(w, shape, fuel):
    n, m = shape
    if n > 1:
        value = w.pick(["", ", constant_values=1.5"])
        put = w.pick(["(1, 0)", "(0, 1)"])
        return f"jnp.pad({w.expression((n - 1, m), fuel)}, ({put}, (0, 0)){value})"
    if m > 2 and m % 2:
        inner = w.expression((n, (m + 1) // 2), fuel)
        return f"lax.pad({inner}, 0.0, ((0, 0, 0), (0, 0, 1)))"
    return None


def moved(w, shape, fuel):
    form = w.pick(
        [
            "jnp.roll({}, 1, axis=0)",
            "jnp.roll({}, -2, axis=1)",
            "jnp.flip({})",
            "jnp.flip({}, axis=1)",
            "jnp.tril({})",
            "jnp.triu({}, 1)",
            "jnp.cumsum({}, axis=0)",
            "jnp.cumsum({}, axis=1)",
            "lax.cumsum({}, 0, reverse=True)",
            "jax.vmap(lambda r: r[::-1])({})",
            "jax.vmap(lambda c: 0.5 * c, in_axes=1, out_axes=1)({})",
            "lax.map(lambda r: 0.5 * r, {})",
            "jnp.array({})",
            "lax.reduce_precision({}, 11, 52)",
            "lax.optimization_barrier({})",
        ]
    )
    return form.format(w.expression(shape, fuel))


def centred(w, shape, fuel):
    name = w.expression(shape, fuel)
    form = w.pick(
        ["{0} - {0}.mean(axis=0, keepdims=True)", "{0} - jnp.mean({0}, 1, keepdims=True)"]
    )
    return form.format(name)


def by_rows(w, shape, fuel):
    """One function of a row for all rows."""
    (n, m), k = shape, w.size()
    inner = w.within(("r", (k,))).expression((m,), min(fuel, 1))
    return f"jax.vmap(lambda r: {inner})({w.expression((n, k), max(fuel - 1, 0))})"


def collected(w, shape, fuel):
    (n, m), k = shape, w.size()
    inner = w.within(("x", (m,)), ("r", (k,)))
    body, seen = inner.expression((m,), min(fuel, 1)), inner.expression((m,), 0)
    rows = w.expression((n, k), max(fuel - 1, 0))
    return f"lax.scan(lambda x, r: (0.5 * x + 0.3 * {body}, {seen}), {w.leaf((m,))}, {rows})[1]"


def spread(w, shape, fuel):
    n, m = shape
    kind = w.pick(["column", "row", "vector", "number", "tile", "add"])
    if kind == "add":
        a, b = fuel_for_two(w, fuel)
        return f"{w.expression((n, 1), a)} + {w.expression((1, m), b)}"
    if kind == "tile":
        return f"jnp.tile({w.expression((1, m), fuel)}, ({n}, 1))"
    sides = {"column": (n, 1), "row": (1, m), "vector": (m,), "number": ()}[kind]
    return f"jnp.broadcast_to({w.expression(sides, fuel)}, ({n}, {m}))"


def outer(w, shape, fuel):
    n, m = shape
    a, b = fuel_for_two(w, fuel)
    u, v = w.expression((n,), a), w.expression((m,), b)
    forms = ["jnp.outer({}, {})", "{}[:, None] * {}[None]", "jnp.einsum('i,j->ij', {}, {})"]
    return w.pick([*forms, "{}.reshape(-1, 1) @ {}[None, :]"]).format(u, v)


def diagonal_matrix(w, shape, fuel):
    if shape[0] != shape[1]:
        return None
    return f"jnp.diag({w.expression(shape[:1], fuel)})"


def widened(w, shape, fuel):
    n, m = shape
    if n == 1:
        row = w.expression((m,), fuel)
        form = w.pick(["{}[None]", "jnp.expand_dims({}, 0)", "jnp.atleast_2d({})"])
        return form.format(row)
    if m == 1:
        column = w.expression((n,), fuel)
        return w.pick(["{}[:, None]", "{}.reshape(-1, 1)", "lax.expand_dims({}, (1,))"]).format(
            column
        )
    return None


def ordered(w, shape, fuel):
    """Reshapes that keep a matrix whole, and orders of axes."""
    n, m = shape
    whole = w.expression((m, n), fuel)
    thin = f"{whole}.reshape(({n}, {m}), order='F')" if 1 in shape else f"{whole}.T"
    return w.pick([f"lax.reshape({whole}, ({n}, {m}), dimensions=(1, 0))", thin])


MATRIX = [
    *[matmul] * 5,
    three,
    *[turned] * 2,
    cut,
    strided,
    indexed,
    joined,
    stacked,
    padded,
    *[moved] * 3,
    centred,
    by_rows,
    collected,
    spread,
    outer,
    diagonal_matrix,
    widened,
    ordered,
]

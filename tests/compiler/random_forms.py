"""The forms a random expression may have, by the number of axes it is to give.

A form takes the writer, the shape wanted and the fuel left, and returns text, or None where it does
not fit the shape.
"""

import numpy as np


def _split(w, fuel):
    first = int(w.rng.integers(0, fuel + 1))
    return first, fuel - first


# Any number of axes.


def total(w, shape, fuel):
    a, b = _split(w, fuel)
    sign = w.pick(["+", "-"])
    return f"{w.expression(shape, a)} {sign} {w.number()} * {w.expression(shape, b)}"


def scaled(w, shape, fuel):
    return w.pick(["{1} * {0}", "{0} * {1}", "{0} / {2}", "-{0}"]).format(
        w.expression(shape, fuel), w.number(), f"{w.rng.uniform(0.5, 3.0):.3g}"
    )


def by_data(w, shape, fuel):
    a, b = _split(w, fuel)
    return f"{w.expression((), a)} * {w.expression(shape, b)}"


def by_constant(w, shape, fuel):
    sides = [w.pick([1, side]) for side in shape]
    return w.pick(["{0} * {1}", "{1} * {0}", "{0} + {1}", "{1} - {0}"]).format(
        w.expression(shape, fuel), w.constant(*sides)
    )


def choice(w, shape, fuel):
    a, b = _split(w, fuel)
    mask = f"{w.constant(*shape)} > 0"
    other = w.pick([w.expression(shape, b), "0.5", w.constant(*shape)])
    pair = [w.expression(shape, a), other]
    if w.takes_t and w.chance(0.3):
        mask = "t > 0"
    return f"jnp.where({mask}, {pair[0]}, {pair[1]})"


def called(w, shape, fuel):
    """A function of one argument, wrapped in one of the ways that call it."""
    argument = tuple(shape) if w.chance(0.5) else w.shape()
    inner = w.within(("x", argument)).expression(shape, min(fuel, 2))
    given = w.expression(argument, max(fuel - 2, 0))
    wrap = w.pick(["jax.jit", "jax.checkpoint", "jax.named_call", "", "lax.stop_gradient"])
    if wrap == "lax.stop_gradient":
        return f"lax.stop_gradient({w.expression(shape, fuel)})"
    return f"{wrap}(lambda x: {inner})({given})"


def custom(w, shape, fuel):
    return w.pick(["twice({0})", "jax.jvp(twice, ({0},), ({1},))[1]"]).format(
        w.expression(shape, fuel), w.leaf(shape)
    )


def derivative(w, shape, fuel):
    """A gradient, a product with a Jacobian or with its transpose."""
    if w.chance(0.3):
        other = w.shape()
        body = w.within(("z", shape)).expression(other, min(fuel, 2))
        return f"jax.vjp(lambda z: {body}, {w.leaf(shape)})[1]({w.leaf(other)})[0]"
    if w.chance(0.3):
        own = w.shape()
        body = w.within(("z", own)).expression(shape, min(fuel, 2))
        return f"jax.jvp(lambda z: {body}, ({w.leaf(own)},), ({w.leaf(own)},))[1]"
    inner = w.within(("z", shape))
    if shape and w.chance(0.5):
        side = w.size()
        residual = f"({inner.leaf((side, shape[0]))} @ z - {w.leaf((side, *shape[1:]))})"
        losses = ["0.5 * jnp.sum({0} ** 2)", "jnp.mean(jnp.square({0}))", "jnp.sum({0} * {0})"]
        loss = w.pick([*losses, "jnp.vdot({0}, {0})"] if len(shape) == 1 else losses)
        return f"jax.grad(lambda z: {loss.format(residual)})({w.leaf(shape)})"
    body = inner.expression((), min(fuel, 2))
    return f"jax.grad(lambda z: {body} + 0.5 * jnp.sum(z * z))({w.leaf(shape)})"


def looped(w, shape, fuel):
    """fori_loop, while_loop or scan of static length, contracting unless its body multiplies."""
    if w.loops > 1:
        return None
    w.loops += 1
    turns = int(w.rng.integers(0, 6))
    start = w.leaf(shape)
    inner = w.within(("x", shape))
    inner.loops = w.loops
    body = f"0.5 * x + {w.rng.uniform(0.05, 0.3):.2g} * {inner.expression(shape, min(fuel, 2))}"
    kind = w.pick(["fori", "fori i", "while", "scan", "scan back", "scan none"])
    if kind == "fori":
        return f"lax.fori_loop(0, {turns}, lambda i, x: {body}, {start})"
    if kind == "fori i":
        return f"lax.fori_loop(0, {turns}, lambda i, x: {body} + 0.1 * i * x, {start})"
    if kind == "while":
        turn = f"lambda p: (p[0] + 1, (lambda x: {body})(p[1]))"
        return f"lax.while_loop(lambda p: p[0] < {turns}, {turn}, (0, {start}))[1]"
    if kind == "scan none":
        return f"lax.scan(lambda x, _: ({body}, x), {start}, None, length={turns})[0]"
    rows = (w.size(), *(shape if len(shape) == 1 else (w.size(),)))
    inner = inner.within(("r", rows[1:]))
    body = f"0.5 * x + 0.3 * {inner.expression(shape, min(fuel, 2))}"
    back = ", reverse=True" if kind == "scan back" else ""
    return f"lax.scan(lambda x, r: ({body}, r), {start}, {w.leaf(rows)}{back})[0]"


def branch(w, shape, fuel):
    inner = w.within(("x", shape))
    one, two = (inner.expression(shape, min(fuel, 1)) for _ in range(2))
    start = w.leaf(shape)
    if w.chance(0.5):
        test = w.pick(["np.sum(np.arange(3)) > 2", "jnp.sum(jnp.arange(3)) > 5", "True"])
        return f"lax.cond({test}, lambda x: {one}, lambda x: {two}, {start})"
    index = w.rng.integers(-1, 4)
    return f"lax.switch({index}, [lambda x: {one}, lambda x: {two}, jnp.negative], {start})"


# Two axes.


def matmul(w, shape, fuel):
    (n, m), k = shape, w.size()
    a, b = _split(w, fuel)
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
    form = w.pick(["{}.T", "jnp.swapaxes({}, 0, 1)", "jnp.transpose({})", "jnp.einsum('ij->ji', {})"])
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
    a, b = _split(w, fuel)
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
    form = w.pick(["{0} - {0}.mean(axis=0, keepdims=True)", "{0} - jnp.mean({0}, 1, keepdims=True)"])
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
        a, b = _split(w, fuel)
        return f"{w.expression((n, 1), a)} + {w.expression((1, m), b)}"
    if kind == "tile":
        return f"jnp.tile({w.expression((1, m), fuel)}, ({n}, 1))"
    sides = {"column": (n, 1), "row": (1, m), "vector": (m,), "number": ()}[kind]
    return f"jnp.broadcast_to({w.expression(sides, fuel)}, ({n}, {m}))"


def outer(w, shape, fuel):
    n, m = shape
    a, b = _split(w, fuel)
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
        return w.pick(["{}[:, None]", "{}.reshape(-1, 1)", "lax.expand_dims({}, (1,))"]).format(column)
    return None


def ordered(w, shape, fuel):
    """Reshapes that keep a matrix whole, and orders of axes."""
    n, m = shape
    whole = w.expression((m, n), fuel)
    thin = f"{whole}.reshape(({n}, {m}), order='F')" if 1 in shape else f"{whole}.T"
    return w.pick([f"lax.reshape({whole}, ({n}, {m}), dimensions=(1, 0))", thin])


# One axis.


def times_vector(w, shape, fuel):
    (n,), k = shape, w.size()
    a, b = _split(w, fuel)
    v = w.expression((k,), b)
    form = w.pick(["{0} @ {2}", "{2} @ {1}", "jnp.dot({0}, {2})", "jnp.einsum('ij,j->i', {0}, {2})"])
    return f"{form.format(w.expression((n, k), a), w.expression((k, n), a), v)} / {k}"


def line_of(w, shape, fuel):
    (n,), k = shape, w.size()
    place = int(w.rng.integers(-k, k))
    rows, columns = w.expression((k, n), fuel), w.expression((n, k), fuel)
    return w.pick(
        [
            f"{rows}[{place}]",
            f"{columns}[:, {place}]",
            f"{rows}.sum(axis=0)",
            f"{columns}.mean(axis=1)",
            f"jnp.average({rows}, axis=0, weights=np.arange(1.0, {k + 1}))",
            f"lax.dynamic_index_in_dim({rows}, {place % k}, keepdims=False)",
            f"jnp.squeeze({w.expression((1, n), fuel)}, 0)",
            f"jnp.ravel({w.expression((n, 1), fuel)})",
            f"jnp.diag({w.expression((n, n), fuel)})",
        ]
    )


def part_of_vector(w, shape, fuel):
    (n,) = shape
    longer = w.expression((n + 1,), fuel)
    long = w.size()
    places = w.rng.integers(-long, long, n).tolist()
    options = [f"{longer}[1:]", f"{longer}[:-1]", f"{longer}[:0:-1]", f"jnp.diff({longer})"]
    options += [f"{w.expression((long,), fuel)}[jnp.array({places})]"]
    if n > 1:
        options += [f"jnp.concatenate([{w.expression((n - 1,), fuel)}, {w.leaf((1,))}])"]
        options += [f"jnp.pad({w.expression((n - 1,), fuel)}, (0, 1))"]
    return w.pick(options)


def moved_vector(w, shape, fuel):
    form = w.pick(["jnp.roll({}, 1)", "{}[::-1]", "jnp.cumsum({})", "jnp.flip({})", "{} - {}.mean()"])
    return form.replace("{}", w.expression(shape, fuel))


def spread_vector(w, shape, fuel):
    return f"jnp.broadcast_to({w.expression((), fuel)}, {shape})"


# None.


def inner_product(w, shape, fuel):
    k, m = w.size(), w.size()
    a, b = _split(w, fuel)
    u, v = w.expression((k,), a), w.expression((k,), b)
    p, q = w.expression((k, m), a), w.expression((k, m), b)
    form = w.pick(["jnp.vdot({0}, {1})", "{0} @ {1}", "jnp.tensordot({2}, {3})", "jnp.trace({2} @ {3}.T)"])
    return f"{form.format(u, v, p, q)} / {k}"


def reduced(w, shape, fuel):
    sides = (w.size(), w.size())
    whole, square = w.expression(sides, fuel), w.expression((sides[0], sides[0]), fuel)
    place = tuple(int(w.rng.integers(-side, side)) for side in sides)
    return w.pick(
        [
            f"jnp.sum({whole})",
            f"jnp.mean({whole})",
            f"{whole}[{place[0]}, {place[1]}]",
            f"jnp.trace({square})",
            f"{w.expression(sides[:1], fuel)}[{place[0]}]",
            f"jnp.squeeze({w.expression((1, 1), fuel)})",
        ]
    )


def power(w, shape, fuel):
    return f"{w.expression((), fuel)} ** {w.rng.integers(0, 4)}"


_ALL = [total, total, scaled, by_data, by_constant, choice, called, custom, derivative, looped, branch]
FORMS = {
    2: [
        *_ALL,
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
    ],
    1: [*_ALL, *[times_vector] * 3, *[line_of] * 3, part_of_vector, moved_vector, spread_vector],
    0: [total, scaled, custom, called, inner_product, inner_product, reduced, reduced, power],
}
assert all(callable(form) for forms in FORMS.values() for form in forms) and np is not None

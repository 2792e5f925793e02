"""Forms that an expression of one axis, or of none, may have: see random_forms."""

from tests.compiler.random_forms import (
    called,
    custom,
    fuel_for_two,
    scaled,
    total,
)


def times_vector(w, shape, fuel):
    (n,), k = shape, w.size()
    a, b = fuel_for_two(w, fuel)
    v = w.expression((k,), b)
    form = w.pick(
        ["{0} @ {2}", "{2} @ {1}", "jnp.dot({0}, {2})", "jnp.einsum('ij,j->i', {0}, {2})"]
    )
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
    form = w.pick(
        ["jnp.roll({}, 1)", "{}[::-1]", "jnp.cumsum({})", "jnp.flip({})", "{} - {}.mean()"]
    )
    return form.replace("{}", w.expression(shape, fuel))


def spread_vector(w, shape, fuel):
    return f"jnp.broadcast_to({w.expression((), fuel)}, {shape})"


def inner_product(w, shape, fuel):
    k, m = w.size(), w.size()
    a, b = fuel_for_two(w, fuel)
    u, v = w.expression((k,), a), w.expression((k,), b)
    p, q = w.expression((k, m), a), w.expression((k, m), b)
    form = w.pick(
        ["jnp.vdot({0}, {1})", "{0} @ {1}", "jnp.tensordot({2}, {3})", "jnp.trace({2} @ {3}.T)"]
    )
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


VECTOR = [*[times_vector] * 3, *[line_of] * 3, part_of_vector, moved_vector, spread_vector]
NUMBER = [total, scaled, custom, called, *[inner_product] * 2, *[reduced] * 2, power]

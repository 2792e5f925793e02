"""Forms that an expression of any number of axes may have: sums, calls, loops, derivatives.

A form takes the writer, the shape wanted and the fuel left, and returns text, or None where it does
not fit the shape.
"""


def fuel_for_two(w, fuel):
    first = int(w.rng.integers(0, fuel + 1))
    return first, fuel - first


def total(w, shape, fuel):
    a, b = fuel_for_two(w, fuel)
    sign = w.pick(["+", "-"])
    return f"{w.expression(shape, a)} {sign} {w.number()} * {w.expression(shape, b)}"


def scaled(w, shape, fuel):
    return w.pick(["{1} * {0}", "{0} * {1}", "{0} / {2}", "-{0}"]).format(
        w.expression(shape, fuel), w.number(), f"{w.rng.uniform(0.5, 3.0):.3g}"
    )


def by_data(w, shape, fuel):
    a, b = fuel_for_two(w, fuel)
    return f"{w.expression((), a)} * {w.expression(shape, b)}"


def by_constant(w, shape, fuel):
    sides = [w.pick([1, side]) for side in shape]
    return w.pick(["{0} * {1}", "{1} * {0}", "{0} + {1}", "{1} - {0}"]).format(
        w.expression(shape, fuel), w.constant(*sides)
    )


def choice(w, shape, fuel):
    a, b = fuel_for_two(w, fuel)
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


ANY = [total, total, scaled, by_data, by_constant, choice]
ANY += [called, custom, derivative, looped, branch]

"""What people write, row by row: forms that compile, and forms that are refused with a way out.

`docs/compiler.md` lists them: a test compares its tables with these.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

SHAPES = [(5, 3), (1, 3), (5, 1), (1, 1), (2, 4)]  # of X, with one row, one column, n < d


@dataclasses.dataclass(frozen=True)
class Form:
    """An expression in `names`, as a user writes it.

    becomes: what the compiler makes of it, or, where it is refused, what to write instead.
    refused: a pattern of the error, None where the form compiles.
    """

    text: str
    becomes: str
    refused: str | None = None


def blocks(n, d):
    """Shapes of the inputs of every form."""
    return {"X": (n, d), "y": (n,), "w": (d,), "A": (d, d), "s": ()}


def names(X, y, w, A, s, t=0):
    """What an expression may name: blocks, the residual, constants, losses, and the step's t."""
    d = len(w)
    C = 2.0 * np.eye(d) + np.arange(float(d * d)).reshape(d, d) / (4 * d * d)

    def half(w):
        return 0.5 * jnp.sum((X @ w - y) ** 2)

    def loss(w, x, y):
        return 0.5 * (x @ w - y) ** 2

    own = {"r": X @ w - y, "C": C, "L": np.tril(C), "K": jnp.arange(4.0 * d).reshape(4, d) / d}
    device = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    given = {"X": X, "y": y, "w": w, "A": A, "s": s, "t": t, "half": half, "loss": loss}
    return given | own | {"jax": jax, "jnp": jnp, "np": np, "lax": lax, "device": device}


SUMS = [
    Form("jnp.sum(r[:, None] * X, 0)", "`X^T r`"),
    Form("jnp.mean(X * r[:, None], 0)", "`X^T r / n`"),
    Form("jnp.sum(r**2)", "`r^T r`"),
    Form("jnp.sum(w * w)", "`w^T w`"),
    Form("jnp.sum(X**2)", "`tr(X^T X)`, a head for each column"),
    Form("jnp.vdot(X, X)", "the same"),
    Form("jnp.einsum('ij,ij->', X, X)", "the same"),
    Form("jnp.einsum('ij,i->j', X, r)", "`X^T r`"),
    Form("jnp.einsum('ni,nj,j->i', X, X, w)", "`X^T X w`"),
    Form("jnp.var(y)", "the centred `y` with itself"),
    Form("jax.vmap(jax.grad(loss), (None, 0, 0))(w, X, y).mean(0)", "`X^T r / n`"),
    Form("jax.vmap(jnp.outer)(X, X).sum(0)", "`X^T X`"),
    Form("jax.hessian(half)(w)", "`X^T X`"),
    Form("jax.jacobian(half)(w)", "`X^T r`"),
    Form("jax.jacobian(lambda w: X @ w - y)(w)", "`X`"),
    Form("jnp.diag(X @ X.T)", "a head for each row"),
    Form("jnp.sum(X * X, 1)", "`jnp.diag(X @ X.T)`", r"write jnp.diag\(A @ B.T\)"),
    Form("jnp.einsum('ij,ij->i', X, X)", "`jnp.diag(X @ X.T)`", r"write jnp.diag\(A @ B.T\)"),
    Form("X * X", "a sum of it, or a product with a constant", "or a sum over it must follow"),
    Form("w**2", "`jnp.sum(w**2)`", r"as in jnp.sum\(w\*\*2\)"),
]
CONSTANTS = [
    Form("w.at[0].set(2.0)", "zeros in place of the entry, and the new one"),
    Form("X.at[0].set(w)", "the same for a row"),
    Form("X.at[:1].add(w)", "a product that places"),
    Form("w.at[0].set(s * w[0])", "the same, where the new entry is data"),
    Form("w.at[0].multiply(2.0)", "a product with a diagonal"),
    Form("lax.dynamic_update_slice(X, 2.0 * X[:1], (0, 0))", "as `.set`"),
    Form("K[t] * w", "the numbers of each step, with `tied=False`"),
    Form("(2.0 * X.ravel()).reshape(X.shape)", "the matrix, which is never broken up"),
    Form("jnp.kron(np.tri(2), X)", "`(u (x) I) X (v (x) I)^T`, a head for each distinct row"),
    Form("jnp.kron(X, C)", "the same"),
    Form("jnp.repeat(X, 2, axis=0)", "a product that places"),
    Form("jnp.tile(w, 2)", "the same"),
    Form("jnp.convolve(y, np.array([1.0, 0.5]), mode='same')", "a product with a banded matrix"),
    Form("jnp.linalg.solve(C, w)", "a product with the inverse in float64"),
    Form("jax.scipy.linalg.cho_solve((L, True), w)", "the same"),
    Form("jax.scipy.linalg.solve_triangular(L, w, lower=True)", "the same"),
    Form("w + jax.random.normal(jax.random.key(0), w.shape, jnp.float32)", "what is drawn"),
    Form("s**2.0", "`s s`"),
    Form("lax.optimization_barrier((w, 3))[0]", "`w`"),
    Form("lax.with_sharding_constraint(w, device)", "`w`"),
    Form("lax.fori_loop(0, 3, lambda _, w: w - 0.1 * X.T @ (X @ w), w)",
         "two layers for each turn; `depth` of the step takes one"),
    Form("w.at[0].multiply(s)", "`w.at[0].set(s * w[0])`", r"write x.at\[i\].set\(s \* x\[i\]\)"),
    Form("X.ravel()", "the matrix", "keep the matrix, or reshape back to it"),
    Form("jnp.kron(X, X)", "one factor as a constant", "multiplied with constants"),
    Form("jnp.convolve(y, w)", "one of them as a constant", "convolve a 1-D block with a constant"),
    Form("jnp.linalg.solve(A, w)", "`elsa.algorithms.newton_schulz_inverse`",
         "elsa.algorithms.newton_schulz_inverse"),
    Form("jnp.linalg.solve(np.zeros((len(w), len(w))), w)", "a multiple of the identity added",
         "singular; add a multiple of the identity"),
    Form("lax.fori_loop(0, 2000, lambda _, w: 0.9 * w, w)", "`depth=2000`",
         "use compile's depth for it"),
]  # fmt: skip
FUNCTIONS = [
    Form("X.T @ jnp.exp(r)", "a polynomial", "no exponential; use a polynomial"),
    Form("X.T @ jax.nn.sigmoid(r)", "its line, `0.5 + 0.25 x`", r"line near 0, 0.5 \+ 0.25 x"),
    Form("X.T @ jnp.tanh(r)", "its line, `x`", "its line near 0, x"),
    Form("X.T @ jnp.sign(r)", "the value itself", "`sign` .* use the value itself"),
    Form("jnp.maximum(w, 0.0)", "no bound, or one outside the step", "leave the bound out"),
    Form("jnp.where(w > 0, w, 0.0)", "coefficients", "write both cases with coefficients"),
    Form("w / jnp.linalg.norm(w)", "the unnormalised iteration", "unnormalised iteration has the"),
    Form("w / s", "Newton's step, `r = r * (2 - s * r)`", r"Newton's r' = r \(2 - s r\)"),
    Form("np.dot(X.T, r)", "`jnp.dot(X.T, r)`", "write jnp in place of np"),
]
CALLS = [
    Form("elsa.compile(lambda A: {'B': A}, {'A': (3, 3)})", "`B` in `inputs` too",
         "add it to inputs"),
    Form("elsa.compile(lambda A: {'A': A}, {'A': A})", "`{'A': A.shape}`",
         "write {'A': A.shape} here"),
    Form("elsa.compile(lambda A: {'A': A}, {'A': (3, 3)}, dtype='flaot32')", "`dtype='float32'`",
         "names no dtype; write 'float32'"),
    Form("elsa.compile(lambda A: {'A': A + jnp.array([[1], [2, 3]])}, {'A': (2, 2)})",
         "rows of one length", r"line .*: a list whose rows differ in length"),
    Form("elsa.compile(lambda t, **blocks: {'A': t * blocks['A']}, {'A': (3, 3)})",
         "the same with `tied=False`", "takes t, which needs tied=False"),
]  # fmt: skip
ALL = [*SUMS, *CONSTANTS, *FUNCTIONS]

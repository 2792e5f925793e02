"""What every architecture of `train` computes, in plain NumPy and float64, prompt by prompt.

Each function takes a model, whose parameters it reads by name, and one context X [n, d], y [n] with
its query x [d]; it returns the predictions if the model ended after each layer, the input first,
and the weights w that the prompt holds there, or None.
"""

import numpy as np


def array(parameter):
    """A parameter, in float64."""
    return np.asarray(parameter[...], np.float64)


def tokens(X, y, x):
    """Rows [x_i, y_i], and the query's [x, 0]."""
    return np.column_stack([X, y]), np.append(x, 0.0)


def linear_attention(model, X, y, x, **_):
    """(q Wq)(H Wk)^T (H Wv) / n, in the label's channel."""
    wq, wk, wv = map(array, (model.wq, model.wk, model.wv))
    H, q = tokens(X, y, x)
    return [0.0, ((q @ wq) @ (H @ wk).T @ (H @ wv) / len(X))[-1]], None


def softmax(model, X, y, x, **_):
    """softmax(q Wq (H Wk)^T / sqrt(p)) H Wv, in the label's channel."""
    wq, wk, wv = map(array, (model.wq, model.wk, model.wv))
    H, q = tokens(X, y, x)
    shares = np.exp((q @ wq) @ (H @ wk).T / np.sqrt(wq.shape[1]))
    return [0.0, (shares / shares.sum() @ H @ wv)[-1]], None


def h3(model, X, y, x, **_):
    """sum_c out_c (q Wq)_c sum_i tap(n + 1 - i) (h_i Wk)_c (h_i Wv)_c / n."""
    wq, wk, wv, out = map(array, (model.wq, model.wk, model.wv, model.out))
    H, q = tokens(X, y, x)
    summed, taps = np.zeros(len(out)), array(model.filter.taps)
    for i, h in enumerate(H):
        summed += taps[len(H) - 1 - i] * (h @ wk) * (h @ wv)
    return [0.0, np.sum(out * (q @ wq) * summed) / len(X)], None


def linear_transformer(model, X, y, x, **_):
    """Z <- Z + sum_h P_h Z M Z^T Q_h Z / n, tokens as columns; minus the query's label."""
    H, q = tokens(X, y, x)
    Z, found = np.vstack([H, q]).T, [0.0]
    mask = np.diag([1.0] * len(X) + [0.0])
    for p, q in zip(array(model.p), array(model.q), strict=True):
        Z = Z + sum(P @ Z @ mask @ Z.T @ Q @ Z for P, Q in zip(p, q, strict=True)) / len(X)
        found.append(-Z[-1, -1])
    return found, None


def block(model, X, y, x, **_):
    """E <- W2^T W1 (E + Wpv E M E^T Wkq E / n), tokens as columns; 0, then the query's label."""
    H, q = tokens(X, y, x)
    E, found = np.vstack([H, q]).T, [0.0]
    mask = np.diag([1.0] * len(X) + [0.0])
    for pv, kq, w1, w2 in zip(
        *map(array, (model.w_pv, model.w_kq, model.w1, model.w2)), strict=True
    ):
        E = w2.T @ w1 @ (E + pv @ E @ mask @ E.T @ kq @ E / len(X))
        found.append(E[-1, -1])
    return found, None


def gpt2(model, X, y, x, **_):
    """Pre-norm layers of causal softmax attention and GELU; the query's token, norm, readout."""

    def norm(h, layer):
        centred = h - h.mean(axis=-1, keepdims=True)
        variance = (centred**2).mean(axis=-1, keepdims=True)
        return centred / np.sqrt(variance + 1e-6) * array(layer.scale) + array(layer.bias)

    def linear(h, layer):
        return h @ array(layer.kernel) + array(layer.bias)

    def attend(h, layer):
        added = array(layer.out.bias)
        for head in range(layer.num_heads):
            q, k, v = (
                h @ array(part.kernel)[:, head] + array(part.bias)[head]
                for part in (layer.query, layer.key, layer.value)
            )
            scores = np.exp(q @ k.T / np.sqrt(q.shape[1])) * np.tril(np.ones((len(h), len(h))))
            shares = scores / scores.sum(axis=1, keepdims=True)
            added = added + shares @ v @ array(layer.out.kernel)[head]
        return added

    def gelu(h):
        return h / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (h + 0.044715 * h**3)))

    def read(h):
        return linear(norm(h[-1], model.norm), model.read_out)[0]

    H, q = tokens(X, y, x)
    h = linear(np.vstack([H, q]), model.read_in) + array(model.positions)
    found = [read(h)]
    for layer in model.layers:
        h = h + attend(norm(h, layer.attention_norm), layer.attention)
        h = h + linear(gelu(linear(norm(h, layer.mlp_norm), layer.widen)), layer.narrow)
        found.append(read(h))
    return found, None


def stack(model, X, y, x, *, layout, lam, eta, boxes=None):
    """H <- H + sum_h (H Wq + R bq)(H Wk + R bk)^T (H Wv + R bv), without R b for LSA.

    The prompt, the role of each row and the place of the answer are written out for each layout.
    """
    h, role, (row, channel), at_w = _PROMPTS[layout](X, y, x, lam, eta, boxes)
    counts = np.bincount(role)
    R = (role[:, None] == np.arange(len(counts))) / np.sqrt(np.maximum(counts, 1))

    def answers():
        return h[row, channel], None if at_w is None else h[at_w[0]][:, at_w[1]] / at_w[2]

    found = [answers()]
    (body,) = model.stack.body
    for step in range(model.stack.depth):
        weights = {name: array(getattr(body, name))[step] for name in body.fields}
        added = np.zeros_like(h)
        for head in range(len(weights["wq"])):
            q, k, v = (
                h @ weights[f"w{part}"][head]
                + (R @ weights[f"b{part}"][head] if f"b{part}" in weights else 0.0)
                for part in "qkv"
            )
            added += q @ k.T @ v
        h = h + added
        found.append(answers())
    predictions, w = zip(*found, strict=True)
    return list(predictions), None if w[0] is None else np.array(w)


def _stacked(X, y, x, lam, eta, boxes):
    """n rows [x_i, 0, y_i, 0] and the query [0, x, 0, p]."""
    n, d = X.shape
    h = np.zeros((n + 1, 2 * d + 2))
    h[:n, :d], h[:n, 2 * d], h[n, d : 2 * d] = X / n**0.5, y / n**0.5, x
    return h, np.array([0] * n + [1]), (n, 2 * d + 1), None


def _stacked_roles(X, y, x, lam, eta, boxes):
    """Stacked, with 1 / sqrt(n) on the examples, and 1 on the query, in two more channels."""
    h, role, place, _ = _stacked(X, y, x, lam, eta, boxes)
    n = len(X)
    told = np.zeros((n + 1, 2))
    told[:n, 0], told[n, 1] = n**-0.5, 1.0
    return np.hstack([h, told]), role, place, None


def _natural(X, y, x, lam, eta, boxes):
    """X | y | lam | w | x | r | p from row 0 on; rows of w are roles of their own, others none."""
    n, d = X.shape
    h = np.zeros((n, 2 * d + 5))
    h[:, :d], h[:, d], h[0, d + 1] = X / n**0.5, y / n**0.5, lam / n
    h[0, d + 3 : 2 * d + 3] = x
    role = np.array([*range(1, d + 1), *[0] * (n - d)])
    return h, role, (0, 2 * d + 4), (slice(0, d), d + 2, 1.0)


def _designed(X, y, x, lam, eta, boxes):
    """[X, 0, y, 0; sqrt(lam) I, 0, 0, sqrt(lam) w; 0, x, 0, p], lam over the n examples."""
    n, d = X.shape
    h = np.zeros((n + d + 1, 2 * d + 2))
    h[:n, :d], h[:n, 2 * d] = X / n**0.5, y / n**0.5
    h[n : n + d, :d] = np.sqrt(lam / n) * np.eye(d)
    h[n + d, d : 2 * d] = x
    role = np.array([*[0] * n, *range(1, d + 2)])
    at_w = (slice(n, n + d), 2 * d + 1, np.sqrt(lam / n))
    return h, role, (n + d, 2 * d + 1), at_w


def _source(X, y, x, lam, eta, boxes):
    """X | x | y | lam I | sqrt(eta) I | w | fit | p, each in its rows: data, then d rows, query."""
    n, d = X.shape
    h = np.zeros((n + d + 1, 4 * d + 4))
    h[:n, :d], h[:n, 2 * d], h[n + d, d : 2 * d] = X / n**0.5, y / n**0.5, x
    h[n : n + d, 2 * d + 1 : 3 * d + 1] = lam / n * np.eye(d)
    h[n : n + d, 3 * d + 1 : 4 * d + 1] = np.sqrt(eta) * np.eye(d)
    role = np.array([*[0] * n, *range(1, d + 2)])
    return h, role, (n + d, 4 * d + 3), (slice(n, n + d), 4 * d + 1, 1.0)


def _transposed(X, y, x, lam, eta, boxes):
    """[X^T, x; y^T, p]: rows are covariates and the label, each a role of its own."""
    n, d = X.shape
    h = np.zeros((d + 1, n + 1))
    h[:d, :n], h[d, :n], h[:d, n] = X.T / n**0.5, y / n**0.5, x
    return h, np.arange(d + 1), (d, n), None


def _custom(X, y, x, lam, eta, boxes):
    """The blocks where the boxes say; biases by position."""
    n = len(X)
    h = np.zeros(
        (
            max(row + height for row, _, height, _ in boxes.values()),
            max(channel + width for _, channel, _, width in boxes.values()),
        )
    )
    told = {"X": X / n**0.5, "y": y[:, None] / n**0.5, "lam": [[lam / n]], "query_x": x[None]}
    for name, values in told.items():
        row, channel, height, width = boxes[name]
        h[row : row + height, channel : channel + width] = values
    row, channel, height, _ = boxes["w"]
    at_w = (slice(row, row + height), channel, 1.0)
    return h, np.arange(len(h)), boxes["prediction"][:2], at_w


_PROMPTS = {
    "stacked": _stacked,
    "stacked_roles": _stacked_roles,
    "natural": _natural,
    "designed": _designed,
    "source": _source,
    "transposed": _transposed,
    "custom": _custom,
}
FORMULAS = {
    "lsa": stack,
    "elsa": stack,
    "linear_attention": linear_attention,
    "linear_transformer": linear_transformer,
    "block": block,
    "h3": h3,
    "softmax": softmax,
    "gpt2": gpt2,
}


def descent(X, y, x, steps, *, lam, eta):
    """Gradient descent on the mean over the examples: predictions and weights after each step."""
    w, path = np.zeros(X.shape[1]), []
    for _ in range(steps + 1):
        path.append(w)
        w = w - eta * (X.T @ (X @ w - y) + lam * w) / len(X)
    return [x @ w for w in path], np.array(path)


def newton_schulz(X, y, x, steps, *, lam, eta):
    """Z <- 2 Z - Z A Z from eta I, w = Z b, of the means A and b: predictions and weights."""
    n, d = X.shape
    A, b, Z, path = (X.T @ X + lam * np.eye(d)) / n, X.T @ y / n, eta * np.eye(d), [np.zeros(d)]
    for _ in range(steps):
        Z = 2 * Z - Z @ A @ Z
        path.append(Z @ b)
    return [x @ w for w in path], np.array(path)


def ridge(X, y, lam):
    """(X^T X + lam I)^-1 X^T y."""
    return np.linalg.solve(X.T @ X + lam * np.eye(X.shape[1]), X.T @ y)

"""Training again, as a loop in NumPy with the gradient by hand."""

import jax
import numpy as np

from elsa import tasks


def descend(config, task, *, seed=0, length=None):
    """Adam on merged attention; the keys are those of the engine.

    Returns:
      The weights, averaged where the config asks for it, and the losses of the evaluations. Steps
      whose loss is not finite are left out.
    """
    train = config["train"]
    steps, warmup, clip = train["num_steps"], train.get("warmup", 0), train.get("max_gradient_norm")
    b2 = train.get("adam_b2", 0.999)
    root = jax.random.fold_in(jax.random.key(config["seed"]), 1)
    weight = first = second = np.zeros((task.dim, task.dim))
    losses, last, updates = [], [], 0
    for t in range(steps):
        key = jax.random.fold_in(jax.random.fold_in(root, seed), t)
        prompt = task.sample(key, train["batch"])
        if length is not None:
            prompt = tasks.keep_last(prompt, length)
        x, y, query, label = (np.asarray(part) for part in prompt)
        moments = np.einsum("bnd,bn->bd", x, y) / task.context_length
        residuals = np.einsum("bi,ij,bj->b", query, weight, moments) - label
        losses.append(np.mean(residuals**2))
        if not np.isfinite(losses[-1]):
            losses[-1] = np.nan
            last.append(weight)
            continue
        updates += 1
        most = train["huber_delta"] if train.get("loss") == "huber" else np.inf
        pulls = np.clip(residuals, -most, most)
        gradient = 2 * np.einsum("b,bi,bj->ij", pulls, query, moments) / len(label)
        if clip:
            gradient = gradient * min(1.0, clip / np.linalg.norm(gradient))
        first, second = 0.9 * first + 0.1 * gradient, b2 * second + (1 - b2) * gradient**2
        update = first / (1 - 0.9**updates) / (np.sqrt(second / (1 - b2**updates)) + 1e-8)
        falls = 0.5 * (1 + np.cos(np.pi * (t - warmup) / (steps - warmup)))
        share = (t + 1) / (warmup + 1) if t < warmup else falls
        if train.get("decay") == "constant" and t >= warmup:
            share = 1.0
        weight = weight - train["learning_rate"] * share * update
        last.append(weight)
    averaged = np.mean(last[-round(steps * train["average"]) or -1 :], axis=0)
    return averaged, np.nanmean(np.reshape(losses, (-1, train["evaluate_every"])), axis=1)

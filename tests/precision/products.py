"""The matrix products of a program, and the precision that each of them asks for."""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.core import primitives

HIGHEST = jax.lax.Precision.HIGHEST
LOW = "bfloat16"  # what the caller has set, in vain
_PRODUCTS = (primitives.dot_general_p, primitives.conv_general_dilated_p)
PRODUCTS = {*(product.name for product in _PRODUCTS), "ragged_dot_general", "scaled_matmul"}


class Traced(NamedTuple):
    """A function of arrays that jax traces.

    function, arrays: what is called with what.
    products: whether it has any.
    gradient: whether to look at the products of its gradient, too.
    """

    function: Callable[..., Any]
    arrays: tuple[Any, ...] = ()
    products: bool = True
    gradient: bool = True


class Run(NamedTuple):
    """A function that decides by values: it is run, and the products it comes to are noted.

    call: without arguments.
    products: whether it has any; False for what is plain NumPy.
    """

    call: Callable[[], Any]
    products: bool = False


Case = Traced | Run


def traced(function: Callable[..., Any], *arrays: Any, **options: bool) -> Traced:
    return Traced(function, arrays, **options)


def without(function: Callable[..., Any], *arrays: Any) -> Traced:
    """A function of arrays that has no products."""
    return Traced(function, arrays, products=False)


def precisions(jaxpr: Any) -> Iterator[Any]:
    """The precision of every product of a jaxpr, those of the jaxprs inside it included."""
    for eqn in getattr(jaxpr, "jaxpr", jaxpr).eqns:
        if eqn.primitive.name in PRODUCTS:
            yield eqn.params.get("precision")
        for inner in jax.tree.leaves(list(eqn.params.values()), is_leaf=_is_jaxpr):
            if _is_jaxpr(inner):
                yield from precisions(inner)


def _is_jaxpr(value: Any) -> bool:
    return hasattr(value, "eqns") or hasattr(getattr(value, "jaxpr", None), "eqns")


@contextlib.contextmanager
def noted() -> Iterator[list[Any]]:
    """The precisions of all products of a `with` block, run without jit, whose caches hide them."""
    found: list[Any] = []

    def noting(bind: Callable[..., Any]) -> Callable[..., Any]:
        def note(*args: Any, **params: Any) -> Any:
            found.append(params.get("precision"))
            return bind(*args, **params)

        return note

    with pytest.MonkeyPatch.context() as patch, jax.disable_jit():
        # draws have no products, and take seconds without jit
        for draw in ("normal", "uniform"):
            patch.setattr(jax.random, draw, _drawn)
        patch.setattr(jax.random, "split", lambda key, num=2: [key] * num)
        for product in _PRODUCTS:
            patch.setattr(product, "bind", noting(product.bind))
        yield found


def faults(case: Case, ambient: str = LOW, *, gradients: bool = True) -> list[str]:
    """What is wrong with a case's products where `ambient` is the default; nothing if right.

    gradients: whether to look at the products of gradients, too.
    """
    with jax.default_matmul_precision(ambient):
        if isinstance(case, Run):
            with noted() as found:
                case.call()
            return _judged("run", found, case.products)
        anew = functools.partial(case.function)  # jax keeps what it has traced of the function
        wrong = _judged("traced", precisions(jax.make_jaxpr(anew)(*case.arrays)), case.products)
        looked_at = gradients and case.products and case.gradient
        if looked_at and any(map(_is_float, jax.tree.leaves(case.arrays))):
            derivative = jax.make_jaxpr(_gradient(case.function))(*case.arrays)
            wrong += _judged("its gradient", precisions(derivative), None)
        return wrong


def _drawn(_: Any, shape: tuple[int, ...] = (), dtype: Any = float) -> jax.Array:
    return jnp.asarray(np.random.default_rng(0).uniform(0.1, 0.9, size=shape), dtype)


def _judged(what: str, found: Any, expected: bool | None) -> list[str]:
    """expected: whether there are products; None where it does not matter."""
    seen = [full(precision) for precision in found]
    if expected is False:
        return [f"{what}: {len(seen)} products, none expected"] if seen else []
    low = seen.count(False)
    wrong = [f"{what}: {low} of {len(seen)} products are below full precision"] if low else []
    return wrong if seen or expected is None else [f"{what}: no product seen"]


def full(precision: Any) -> bool:
    return precision is not None and all(
        side == HIGHEST for side in (precision if isinstance(precision, tuple) else (precision,))
    )


def _is_float(leaf: Any) -> bool:
    return bool(jnp.issubdtype(jnp.result_type(leaf), jnp.floating))


def _gradient(function: Callable[..., Any]) -> Callable[..., Any]:
    """The gradient of the sum of all that is returned, taken outside, as a caller would."""
    compiled = jax.jit(functools.partial(function))

    def gradient(*arrays: Any) -> Any:
        leaves, tree = jax.tree.flatten(arrays)

        def total(floats: list[Any]) -> Any:
            rest = iter(floats)
            filled = [next(rest) if _is_float(leaf) else leaf for leaf in leaves]
            out = jax.tree.leaves(compiled(*jax.tree.unflatten(tree, filled)))
            return sum(jnp.sum(leaf) for leaf in out if _is_float(leaf))

        return jax.grad(total)([leaf for leaf in leaves if _is_float(leaf)])

    return gradient

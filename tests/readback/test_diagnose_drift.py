"""Weights that are nearly right: rounded, off by a small factor, all moved a little."""

import jax.numpy as jnp
import numpy as np

from elsa import algorithms, constructions
from elsa.readback import Diagnosis, diagnose
from tests.readback import sound
from tests.readback.subjects import ETA, unknown


def changed(change):
    """A stack whose weights were all changed."""
    stack = constructions.ridge_elsa(5, 2, 2, ETA)
    for layer in stack.stack.body:
        for name in layer.fields:
            own = getattr(layer, name)
            own[...] = jnp.asarray(change(np.asarray(own[...])), own.dtype)
    return stack


def test_weights_that_were_rounded_are_sound_but_for_rounding():
    """float32 of weights in float64, of split heads too; noise below that."""
    rng, good = np.random.default_rng(0), constructions.ridge_elsa(5, 2, 2, ETA)
    split = constructions.ridge_elsa(5, 2, 2, ETA)
    sound.split_head(split.stack.body[1], 1.0 / 3.0)
    split.stack.body[1].wv[...] = jnp.float32(split.stack.body[1].wv[...]).astype(float)
    stacks = {
        "float32": changed(np.float32),
        "split": split,
        "noise": changed(lambda a: a + 1e-9 * rng.normal(size=a.shape)),
    }
    for name, stack in stacks.items():
        found = diagnose(stack, good)
        assert (found.kind, found.layer, found.head) == ("rounding", None, None), (name, found)
        assert 1e-10 < found.measured["error"] < 5e-7, (name, found)
        assert "sound but for rounding" in found.sentence
    mine = unknown(stacks["float32"])
    assert diagnose(mine, algorithms.gradient_descent(ETA)).kind == "rounding"


def test_a_factor_near_one_is_printed_in_full():
    assert str(Diagnosis("sign", 0, 0, "", {"scale": -1.0 - 2.0**-52})) == "sign:  (scale -1)"
    for factor, said in ((1.00001, "1.00001"), (0.9998765, "0.9998765"), (1.25, "1.25")):
        stack = changed(lambda a: a)
        layer = stack.stack.body[1]
        layer.wv[...] = layer.wv[...].at[0].multiply(factor)
        found = diagnose(stack, changed(lambda a: a))
        assert (found.kind, found.layer, found.head) == ("scale", 1, 0), found
        assert f"is {said} times what it should be (scale {said})" in str(found)


def test_many_heads_that_moved_a_little_have_drifted():
    rng = np.random.default_rng(0)
    for size in (1e-5, 1e-3):
        stack = changed(lambda a, size=size: a + size * rng.normal(size=a.shape))
        found = diagnose(stack, algorithms.gradient_descent(ETA))
        assert (found.kind, found.layer, found.head) == ("drift", None, None), found
        assert "4 of 4 heads have moved a little, by" in found.sentence
        assert size < found.measured["smallest"] < found.measured["largest"] < 300 * size, found
    assert (
        diagnose(constructions.ridge_elsa(5, 2, 2, 1.1 * ETA), changed(lambda a: a)).kind == "scale"
    )

"""Planted faults are named, layer, head and kind; sound stacks are left alone."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import elsa
from elsa import algorithms, constructions, models, readback
from elsa.prompts.edits import moved
from elsa.readback import diagnose
from tests.readback import planted, sound
from tests.readback.subjects import ETA, ridge, subjects, unknown

SAMPLE = {  # of the fast suite: stack and seed of each kind
    "skip bias": ("elsa, skip head", 0),
    "off by one": ("descent", 1),
    "sign": ("elsa, skip head", 2),
    "scale": ("descent", 3),
    "step size": ("elsa, skip head", 4),
    "larger step": ("elsa, skip head", 5),
    "lambda misplaced": ("descent", 6),
}


def wrong(one: planted.Planted, found: readback.Diagnosis) -> str:
    """What a diagnosis gets wrong of a planted fault, or nothing."""
    right = (found.layer, found.head) == (one.layer, one.head) and found.kind in one.kinds
    place = f"{one.kinds[0]} in layer {one.layer}, head {one.head}"
    return "" if right else f"{one.name}: {place}, but found {found.layer, found.head} {found}"


def test_one_fault_of_each_kind_is_named():
    stacks = subjects()
    for kind, (name, seed) in SAMPLE.items():
        one = planted.planted(seed, stacks[name], name, kind, tried=False)
        assert one is not None, kind
        told = wrong(one, diagnose(one.stack, one.step, **one.blocks))
        assert not told, told


def test_a_sound_stack_has_no_fault_whatever_its_heads_look_like():
    for name in ("elsa, skip head", "descent"):
        subject = subjects()[name]
        for change in sound.CHANGES.values():
            stack = subject.make()
            change(np.random.default_rng(0), stack)
            found = diagnose(stack, subject.step, **subject.blocks)
            assert found.is_sound, found
            assert (found.layer, found.head, found.measured) == (None, None, {})


@pytest.mark.slow  # 6 minutes all four
@pytest.mark.parametrize("part", range(4))
def test_of_200_planted_faults_19_in_20_are_named(part):
    told = [wrong(f, diagnose(f.stack, f.step, **f.blocks)) for f in planted.many(50, 80 * part)]
    missed = [line for line in told if line]
    assert len(missed) <= 2, "\n".join(missed)


@pytest.mark.slow  # 3 minutes
@pytest.mark.parametrize("n, d, depth", [(1, 1, 1), (1, 3, 0), (3, 7, 2), (15, 5, 40)])
def test_sound_constructions_of_all_sizes_and_dtypes_have_no_fault(n, d, depth):
    makers = (
        constructions.ridge_elsa,
        constructions.ridge_elsa_one_layer,
        constructions.ridge_lsa,
        constructions.ridge_lsa_state,
    )
    for make in makers:
        for dtype in ("float32", "float64"):
            subject = ridge(make, n, d, depth, num_queries=1, dtype=dtype)
            for change in sound.CHANGES.values():
                stack = subject.make()
                change(np.random.default_rng(n), stack)
                for blocks in ({}, subject.blocks):
                    found = diagnose(stack, subject.step, **blocks)
                    assert found.is_sound, (make.__name__, dtype, change.__name__, str(found))


@pytest.mark.slow
@pytest.mark.parametrize("name", subjects())
def test_sound_stacks_of_all_steps_have_no_fault(name):
    subject = subjects()[name]
    for change in sound.CHANGES.values():
        stack = subject.make()
        change(np.random.default_rng(3), stack)
        for blocks in ({}, subject.blocks):
            found = diagnose(stack, subject.step, **blocks)
            assert found.is_sound, (change.__name__, str(found))


@pytest.mark.slow  # 4 minutes
def test_faults_of_stacks_that_were_never_sound_are_found_by_what_mends_them():
    names = ("elsa, skip head", "one layer", "descent", "descent, skip head", "gd++")
    kinds = ("off by one", "sign", "scale", "skip bias", "lambda misplaced")
    told, stacks = [], subjects()
    for seed in range(50):
        name, kind = names[seed % 5], kinds[seed // 5 % 5]
        one = planted.planted(seed, stacks[name], name, kind)
        if one is not None:
            told.append(wrong(one, diagnose(unknown(one.stack), one.step)))
    missed = [line for line in told if line]
    assert len(told) > 30 and len(missed) <= 0.1 * len(told), "\n".join(missed)


def test_a_wrong_sign_of_a_head_written_by_hand_is_found_by_what_mends_it():
    subject = subjects()["elsa, skip head"]
    one = planted.planted(2, subject, "elsa", "sign", tried=False)
    found = diagnose(unknown(one.stack), one.step)
    assert not wrong(one, found), found


def test_a_regulariser_packed_where_no_head_looks_is_misplaced():
    stack = constructions.ridge_elsa(6, 3, 3, ETA)
    stack.layout = moved(stack.layout, ["lam"], rows=2)
    found = diagnose(stack, algorithms.gradient_descent(ETA))
    assert (found.kind, found.layer, found.head) == ("lambda", 1, 1), found
    assert "no head reads the block 'lam', in rows 2 of channels 4" in found.sentence


def test_a_sentence_says_what_is_read_and_what_should_be():
    stack = constructions.ridge_elsa(6, 3, 3, ETA)
    layer = stack.stack.body[0]
    layer.wk[...] = layer.wk[...].at[1].set(0.0)
    layer.wv[...] = layer.wv[...].at[1].set(jnp.roll(layer.wv[...][1], 1, axis=0))
    found = diagnose(stack, algorithms.gradient_descent(ETA))
    assert str(found) == (
        "block: head 1 of layer 0, 'residual += -X w', its values read channels 6 (residual) "
        "instead of channels 5 (w) (overlap 0)"
    )


def test_the_largest_admissible_step_size_is_what_the_spectrum_says():
    rng = np.random.default_rng(0)
    X, y, lam, eta = rng.normal(size=(8, 3)), rng.normal(size=8), 0.3, 0.4
    stack = constructions.ridge_elsa(8, 3, 4, eta)
    found = diagnose(stack, algorithms.gradient_descent(eta), X=X, y=y, lam=lam)
    largest = np.linalg.eigvalsh(X.T @ X + lam * np.eye(3))[-1]
    assert (found.kind, found.layer, found.head) == ("step size", 1, 0)
    measured = found.measured["step size times largest eigenvalue"]
    np.testing.assert_allclose(measured, eta * largest, rtol=1e-3)
    step = algorithms.gradient_descent(eta)  # compiled, the head of lambda stands first
    shapes = {"X": (8, 3), "y": (8, 1), "lam": (1, 1), "w": (3, 1)}
    compiled = elsa.compile(step, shapes, 4)
    found = diagnose(compiled, step, X=X, y=y, lam=lam, w=np.zeros(3))
    assert found.kind == "step size" and "lam" not in found.sentence.split(" takes ")[0], found


def test_a_stack_stands_for_its_step():
    good, bad = (constructions.ridge_lsa(6, 3, 2, ETA) for _ in range(2))
    layer = bad.stack.body[0]
    layer.wq[...] = -layer.wq[...]
    found = diagnose(bad, good)
    assert (found.kind, found.layer, found.head) == ("sign", 0, 0)
    assert diagnose(good, good).is_sound and diagnose(good).is_sound


def test_the_layer_at_fault_is_named_where_heads_were_split():
    """One half of a head of the second layer is too small; the first layer is as it was."""
    makers = (
        lambda: constructions.product_elsa(3, 3),
        lambda: constructions.ridge_elsa(5, 2, 2, ETA),
    )
    for make in makers:
        for others in ((1,), (0, 1)):
            stack, good = make(), make()
            layers = [*stack.stack.prologue, *stack.stack.body]
            for number in others:
                sound.split_head(layers[number], 0.4)
            layers[1].wv[...] = layers[1].wv[...].at[1].multiply(0.8)
            for step in (None, good):
                found = diagnose(stack, step)
                assert (found.kind, found.layer, found.head) == ("scale", 1, 0), found
                assert "shares with head 1 what one should do: the sum is 0.88 times" in str(found)
            layers[1].wv[...] = layers[1].wv[...].at[1].divide(0.8)
            assert diagnose(stack, good).is_sound


def test_a_fault_beside_a_split_head_is_named_without_a_formula_of_another_head():
    stack = constructions.ridge_elsa(5, 2, 2, ETA)
    sound.split_head(stack.stack.body[1], 0.4)
    layer = stack.stack.body[1]
    layer.wv[...] = layer.wv[...].at[2].multiply(-1.0)
    found = diagnose(stack)
    assert str(found) == "sign: head 2 of layer 1 has the wrong sign (scale -1)"


def test_heads_that_add_the_same_by_chance_are_told_apart_by_their_weights():
    """fit is X w: with the other sign the head that adds X w does what the one of -fit does."""
    stack, good = (constructions.ridge_lsa_state(5, 2, 2, ETA) for _ in range(2))
    layer = stack.stack.body[0]
    layer.wv[...] = layer.wv[...].at[2].multiply(-1.0)
    for name in layer.fields:
        getattr(layer, name)[...] = getattr(layer, name)[...][jnp.array([0, 1, 3, 2])]
    found = diagnose(stack, good)
    assert str(found) == "sign: head 3 of layer 1 has the wrong sign (scale -1)"


@pytest.mark.slow
def test_a_model_read_as_a_stack_is_compared_with_the_model():
    model = models.LinearTransformer(3, 2, scale=0.1, init_scale=0.3, rngs=nnx.Rngs(0))
    stack = readback.attention_stack(model, 5)
    assert diagnose(stack).is_sound
    layer = stack.stack.prologue[0]
    layer.wv[...] = layer.wv[...].at[1].multiply(0.5)
    found = diagnose(stack)
    assert (found.kind, found.layer, found.head) == ("scale", 0, 1)


def test_float32_that_loses_the_result_is_rounding():
    def step(A, B, P, Q):
        return {"P": A @ P - B @ Q}

    shapes = {"A": (2, 2), "B": (2, 2), "P": (2, 1), "Q": (2, 1)}
    stack = elsa.compile(step, shapes, 1, dtype="float32")
    small = np.array([[0.5, 0.25], [0.0, 0.5]])
    start = np.array([[1.0 / 3.0], [0.7]])
    given = {"P": start, "Q": start}
    assert diagnose(stack, step, A=small, B=0.5 * small, **given).is_sound
    large = 2.0**18 * np.eye(2)
    found = diagnose(stack, step, A=small + large, B=large, **given)
    assert (found.kind, found.layer, found.head) == ("rounding", None, None)
    assert found.measured["error"] > 1e-2


def test_a_power_that_grows_is_no_step_too_large():
    step = algorithms.matrix_power(1)
    stack = elsa.compile(step, {"A": (2, 2), "P": (2, 1)}, 3)
    assert diagnose(stack, step, A=np.diag([1.5, 0.3]), P=np.ones((2, 1))).is_sound


def test_questions_that_have_no_answer_are_refused():
    stack = constructions.ridge_elsa(6, 3, 2, ETA)
    step = algorithms.gradient_descent(ETA)
    with pytest.raises(TypeError, match="diagnose: stack must be a stack with named blocks"):
        diagnose(stack.stack, step)
    with pytest.raises(TypeError, match="diagnose: step must be a function or a stack"):
        diagnose(stack, 3.0)
    with pytest.raises(KeyError, match="unknown block"):
        diagnose(stack, step, Z=1.0)
    with pytest.raises(ValueError, match=r"step must take blocks of the stack.*needs \['v'\]"):
        diagnose(stack, algorithms.heavy_ball(step_size=0.1, momentum=0.1))
    with pytest.raises(ValueError, match="the sound stack must have the layers of the other"):
        diagnose(stack, constructions.ridge_elsa(6, 3, 3, ETA))
    with pytest.raises(TypeError, match="has nothing to be compared with"):
        diagnose(unknown(stack))

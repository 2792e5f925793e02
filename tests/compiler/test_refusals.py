"""What is no linear algebra is refused with primitive, file, line and a way out."""

import inspect
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import elsa

CASES = []


def refuses(primitive, reason=""):
    """Registers a step whose line marked `# here` must be refused as one of the primitives."""

    def register(step):
        CASES.append(pytest.param(step, primitive, reason, id=step.__name__))
        return step

    return register


def marked_line(step):
    lines, first = inspect.getsourcelines(step)
    (offset,) = [i for i, text in enumerate(lines) if "# here" in text]
    return first + offset


def message_of(step):
    with pytest.raises(elsa.CompileError) as caught:
        elsa.compile(step, dict.fromkeys(inspect.signature(step).parameters, (3, 3)))
    return str(caught.value)


def check(message, primitive, line, reason=""):
    pattern = r"compile: `([^`]*)` cannot run on linear attention \((.*?): `(.*?)`\): "
    found = re.match(pattern, message)
    assert found, message
    assert re.fullmatch(primitive, found.group(1)), message
    assert found.group(2) == f"test_refusals.py, line {line}", message
    assert "# here" in found.group(3), message
    assert re.search(reason, message), message


@refuses("exp", "no exponential; use a polynomial")
def exponential(A):
    return {"A": jnp.exp(A)}  # here


@refuses("tanh", "only matrix products")
def tanh(A):
    B = A @ A
    C = jnp.tanh(B)  # here
    return {"A": C + A}


@refuses("mul", r"two data blocks of shapes \(3, 3\) and \(3, 3\)")
def product_of_entries(A, B):
    return {"A": A * B}  # here


@refuses("integer_pow", "only 1 x 1 blocks")
def square_of_entries(A):
    return {"A": A**2}  # here


@refuses("integer_pow", "division by data")
def inverse_of_entries(A):
    return {"A": A**-1}  # here


@refuses("pow", "only matrix products")
def fractional_power(A):
    return {"A": A**0.5}  # here


@refuses("div", "division by data; divide by constants only, or invert by an iteration")
def division(A, B):
    return {"A": A / B}  # here


@refuses("div", "Newton-Schulz")
def division_by_a_number(A):
    return {"A": A / A.sum()}  # here


@refuses("div", "holds a zero")
def division_by_zero(A):
    return {"A": A / np.eye(3)}  # here


@refuses("max")
def maximum(A):
    return {"A": jnp.maximum(A, 0.0)}  # here


@refuses("gt")
def comparison(A):
    return {"A": jnp.where(A > 0, A, 0.0)}  # here


@refuses("sort", "cannot compare")
def sorting(A):
    return {"A": jnp.sort(A)}  # here


@refuses("sqrt|mul|integer_pow")
def norm(A):
    return {"A": A * jnp.linalg.norm(A)}  # here


@refuses("reduce_max|exp")
def softmax(A):
    return {"A": A @ jax.nn.softmax(A)}  # here


@refuses("max")
def relu(A):
    return {"A": jax.nn.relu(A)}  # here


@refuses("integer_pow|mul|tanh")
def gelu(A):
    return {"A": jax.nn.gelu(A)}  # here


@refuses("lu|custom_linear_solve")
def solve(A, B):
    return {"B": jnp.linalg.solve(A, B)}  # here


@refuses("lu|custom_linear_solve")
def inverse(A):
    return {"A": jnp.linalg.inv(A)}  # here


@refuses("reshape", "breaks the matrix up; only axes of length 1")
def reshape(A):
    return {"A": A @ A.reshape(9, 1)[:3]}  # here


@refuses("broadcast_in_dim|stack|concatenate", "blocks are matrices, got an array of shape")
def three_axes(A):
    return {"A": jnp.stack([A, A]).sum(axis=0)}  # here


@refuses("dot_general", "compile the step of one task and vmap the stack")
def batched_product(A, B):
    return {"A": A + jnp.einsum("ij,ij->i", A, B)[:, None]}  # here


@refuses("convert_element_type", "would become int64")
def to_integers(A):
    return {"A": 1.0 * A.astype(int)}  # here


@refuses("convert_element_type", "would become float32.*give compile the dtype")
def to_fewer_digits(A):
    return {"A": 2.0 * A.astype(jnp.float32)}  # here


@refuses("mul", "NaN or infinity")
def infinite_constant(A):
    return {"A": A * np.array([[1.0, np.inf, 0.0]])}  # here


@refuses("pure_callback", "cannot be computed while compiling")
def constant_that_cannot_be_had(A):
    return {"A": A + jax.pure_callback(no_file, jax.ShapeDtypeStruct((), float))}  # here


def no_file():
    raise FileNotFoundError("no file")


@refuses("pad", "padding with data")
def padding_with_data(A):
    return {"A": jax.lax.pad(A, A[0, 0], ((1, -1, 0), (0, 0, 0)))}  # here


@refuses("while", "length of the loop depends on data")
def loop_of_unknown_length(A):
    return {"A": jax.lax.while_loop(lambda a: a.sum() < 9, lambda a: 2 * a, A)}  # here


@refuses("cond|gt")
def branch_on_data(A):
    return {"A": jax.lax.cond(A[0, 0] > 0, lambda a: a, lambda a: 2 * a, A)}  # here


@refuses("convert_element_type", "would become int64")
def place_from_data(A, B):
    return {"A": A + jax.lax.dynamic_slice(A, (A[0, 0].astype(int), 0), (1, 3))}  # here


@refuses("exp", "polynomial")
def inside_a_loop(A):
    def body(_, a):
        return jnp.exp(a)  # here

    return {"A": jax.lax.fori_loop(0, 3, body, A)}


@refuses("exp", "polynomial")
def inside_a_nested_function(A):
    helper = jax.jit(lambda a: jnp.exp(a) + 1.0)  # here
    return {"A": helper(A) @ A}


@refuses("sin|cos")
def inside_a_gradient(A):
    def loss(a):
        return jnp.sum(jnp.sin(a))  # here

    return {"A": A - jax.grad(loss)(A)}


@pytest.mark.parametrize("step, primitive, reason", CASES)
def test_what_is_no_linear_algebra_is_refused_at_its_line(step, primitive, reason):
    check(message_of(step), primitive, marked_line(step), reason)


@jax.jit
def users_own_helper(w):
    return 2.0 * jnp.sin(w)  # here


def test_the_line_is_that_of_the_users_own_jitted_helper():
    line = marked_line(users_own_helper.__wrapped__)
    check(message_of(lambda A: {"A": users_own_helper(A)}), "sin", line)


def another_caller(A):
    return {"A": A * jnp.linalg.norm(A) + jax.nn.softmax(A) + jnp.linalg.inv(A) + jnp.sinc(A)}


@pytest.mark.parametrize("step", [norm, softmax, inverse], ids=lambda step: step.__name__)
def test_the_line_is_right_where_the_library_call_was_traced_for_another_caller(step):
    message_of(another_caller)
    another_caller(np.eye(3))
    message = message_of(step)
    assert f"test_refusals.py, line {marked_line(step)}: " in message, message


def test_a_loop_that_is_too_long_names_its_line_and_the_way_out():
    def step(A):
        return {"A": jax.lax.fori_loop(0, 2000, lambda _, a: 0.9 * a, A)}  # here

    message = message_of(step)
    assert f"test_refusals.py, line {marked_line(step)}: " in message
    assert "a loop of 2000 iterations" in message and "use compile's depth for it" in message


def test_what_jax_itself_refuses_names_the_users_line_too():
    def step(A, B):
        return {"A": A @ B[:2]}  # here

    message = message_of(step)
    assert message.startswith("compile: the step could not be traced with inputs {'A': (3, 3)")
    assert f"(test_refusals.py, line {marked_line(step)}: " in message


def test_what_the_step_itself_raises_names_its_line():
    def helper(A):
        raise RuntimeError("not today")  # here

    def step(A):
        return {"A": helper(A)}

    with pytest.raises(elsa.CompileError, match="not today") as caught:
        elsa.compile(step, {"A": (3, 3)})
    assert f"(test_refusals.py, line {marked_line(helper)}: " in str(caught.value)
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_numbers_that_overflow_are_refused():
    with pytest.raises(elsa.CompileError, match=r"numbers of the step, .*overflow float64"):
        elsa.compile(lambda w: {"w": 1e200 * (1e200 * w)}, {"w": (2, 1)}, 2)
    with pytest.raises(elsa.CompileError, match=r"numbers of the step, .*overflow float32"):
        elsa.compile(lambda w: {"w": 1e200 * w}, {"w": (2, 1)}, dtype=np.float32)

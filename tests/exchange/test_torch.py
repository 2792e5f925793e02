"""Exported stacks in PyTorch: the same numbers as in JAX, and what passes between the layers."""

from pathlib import Path

import jax
import numpy as np
import pytest

import elsa
from elsa import constructions, readback, training
from elsa.nn import ELSA, LSA, Stack
from scripts.readme_commands import fences
from tests.exchange.cases import COMPILED, RIDGE, compiled, drawn, layer
from tests.helpers import ridge_problem
from tests.training.cases import config

torch = pytest.importorskip("torch", reason="PyTorch is not installed; `make test-torch` does it")
from elsa.exchange import torch as elsa_torch  # noqa: E402

PAGE = (Path(__file__).parents[2] / "docs" / "export.md").read_text(encoding="utf-8")
TOLERANCE = {"float64": 1e-12, "float32": 1e-6}


def in_torch(stack, folder):
    elsa.export(stack, folder / "stack.safetensors")
    return elsa_torch.load(folder / "stack.safetensors")


def assert_close(mine, expected, kind):
    """Within the tolerance of the dtype, of the largest entry and of one."""
    expected = np.asarray(expected)
    assert mine.dtype == getattr(torch, kind) and tuple(mine.shape) == expected.shape
    largest = max(1.0, np.abs(expected).max(initial=0.0))
    error = np.abs(mine.detach().numpy() - expected).max(initial=0.0)
    assert error <= TOLERANCE[kind] * largest


@pytest.mark.parametrize("kind", TOLERANCE)
@pytest.mark.parametrize("name", COMPILED)
def test_a_compiled_stack_gives_the_answers_of_jax(name, kind, tmp_path):
    stack = compiled(name, dtype=kind)
    module = in_torch(stack, tmp_path)
    blocks = drawn(COMPILED[name].inputs)
    loaded, out = elsa.load(tmp_path / "stack.safetensors"), module(**blocks)
    assert list(out) == list(stack.outputs)
    for block, expected in loaded(**blocks).items():
        assert_close(out[block], expected, kind)
    for block in out:
        expected = np.asarray(stack(**blocks)[block])
        assert np.abs(out[block].detach().numpy() - expected).max() <= TOLERANCE[kind]
    _, cache = module.run_with_cache(**blocks, remove_batch_dim=True)
    prompts = loaded.prompts(**blocks)
    assert module.num_layers == len(prompts) - 1 == cache.num_layers
    assert_close(cache["hook_embed"], prompts[0], kind)
    for index in range(module.num_layers):
        assert_close(cache["resid_pre", index], prompts[index], kind)
        assert_close(cache["resid_post", index], prompts[index + 1], kind)
        assert_close(cache["attn_scores", index], loaded.scores(index, **blocks), kind)


@pytest.mark.parametrize("kind", TOLERANCE)
@pytest.mark.parametrize(
    "make, options",
    [
        (constructions.ridge_elsa, {"num_queries": 2, "skip": "head"}),
        (constructions.ridge_elsa_one_layer, {"num_queries": 2}),
        (constructions.ridge_elsa, {}),
    ],
)
def test_a_construction_gives_the_answers_of_jax(make, options, kind, tmp_path):
    blocks, step_size = ridge_problem(5, 3, options.get("num_queries", 0))
    stack = make(5, 3, 6, step_size, dtype=kind, **options)
    out = in_torch(stack, tmp_path)(**blocks)
    for block, expected in stack(**blocks).items():
        assert_close(out[block], expected, kind)


def test_a_designed_prompt_is_packed_as_the_file_says(tmp_path):
    blocks, step_size = ridge_problem(5, 3)
    stack = constructions.ridge_lsa(5, 3, 4, step_size)
    module = in_torch(stack, tmp_path)
    X, w, root = blocks["X"], blocks["w"], blocks["lam"].item() ** 0.5
    packed = {"X": X, "ridge": root * np.eye(3), "y": blocks["y"], "fit": X @ w, "w": root * w}
    assert module.holds == stack.holds
    assert_close(module(**packed)["w"] / root, stack(**blocks)["w"], "float64")


@pytest.mark.parametrize("kind", TOLERANCE)
@pytest.mark.parametrize("name", ["merged_attention", "linear_attention", "linear_transformer"])
def test_a_trained_model_gives_the_predictions_of_jax(name, kind, tmp_path):
    model = {"name": name, **({"depth": 3} if name == "linear_transformer" else {})}
    settings = config(model=model, sweep={}, num_seeds=1, dtype=kind)
    trained = training.fit(settings, tmp_path / "run").model()
    stack = readback.attention_stack(trained, 4, num_queries=3)
    blocks = {name: 3 * block for name, block in drawn(stack.inputs).items()}
    out = in_torch(stack, tmp_path)(**blocks)["prediction"]
    assert_close(out, stack(**blocks)["prediction"], kind)


def test_stacks_without_names_take_and_return_prompts(tmp_path):
    h = np.random.default_rng(0).normal(size=(2, 4, 3))
    for stack in (
        Stack([layer(ELSA, 1)], 2, prologue=[layer(LSA, 2)]),
        Stack([layer(ELSA, 2)], 2, skip="head"),
        Stack([layer(LSA, 3, 1)], 3, tied=False),
    ):
        module = in_torch(stack, tmp_path)
        assert_close(module(torch.tensor(h)), stack(h), "float64")
        assert_close(module(torch.tensor(h[0])), stack(h[0]), "float64")
        with pytest.raises(TypeError, match="Stack has no named blocks: call it with a prompt"):
            module(X=h)


def test_a_batch_is_many_calls_and_blocks_without_its_axis_are_shared(tmp_path):
    module = in_torch(compiled("tied"), tmp_path)
    blocks = drawn({name: (3, *shape) for name, shape in RIDGE.items()})
    shared = {**blocks, "w": blocks["w"][0, :, 0]}
    out, prompts = module(**shared)["w"], module.pack(**shared)
    assert out.shape == (3, 3) and prompts.shape == (3, *module.readout.shape)
    for index in range(3):
        one = {"X": blocks["X"][index], "y": blocks["y"][index], "w": shared["w"]}
        torch.testing.assert_close(out[index], module(**one)["w"], rtol=1e-13, atol=0)
        torch.testing.assert_close(prompts[index], module.pack(**one), rtol=0, atol=0)
    after = module.unpack(module(prompts))["w"][..., 0]
    torch.testing.assert_close(after, out, rtol=0, atol=0)


# Hooks.


@pytest.fixture
def two_heads(tmp_path):
    """A stack of two layers with two heads each, and a prompt."""
    stack = Stack([layer(ELSA, 2)], 2)
    return in_torch(stack, tmp_path), torch.tensor(np.random.default_rng(0).normal(size=(4, 3)))


def test_values_have_the_shapes_and_meanings_that_transformer_lens_gives_them(two_heads):
    module, h = two_heads
    _, cache = module.run_with_cache(h)
    n, m, p, heads = 4, 3, 2, 2
    kinds = {
        "resid_pre": (n, m), "q": (n, heads, p), "k": (n, heads, p), "v": (n, heads, m),
        "attn_scores": (heads, n, n), "result": (n, heads, m), "attn_out": (n, m),
        "resid_post": (n, m),
    }  # fmt: skip
    names = [
        f"blocks.{index}.{'attn.' * (kind in ('q', 'k', 'v', 'attn_scores', 'result'))}hook_{kind}"
        for index in range(2)
        for kind in kinds
    ]
    assert sorted(cache) == sorted(["hook_embed", *names]) == sorted(module.hook_dict)
    for kind, shape in kinds.items():
        assert cache.stack_activation(kind).shape == (2, 1, *shape)
        assert cache[kind, -1] is cache[kind, 1]
    q, k, v = (cache[kind, 1] for kind in "qkv")
    torch.testing.assert_close(cache["attn_scores", 1], torch.einsum("bqhp,bkhp->bhqk", q, k))
    result = torch.einsum("bhqk,bkhm->bqhm", cache["attn_scores", 1], v)
    torch.testing.assert_close(cache["result", 1], result)
    torch.testing.assert_close(cache["attn_out", 1], result.sum(2))
    torch.testing.assert_close(cache["resid_post", 1], cache["resid_pre", 1] + result.sum(2))
    assert cache["resid_post", 0] is cache["resid_pre", 1]


def test_a_hook_may_replace_a_value_and_is_gone_after_the_call(two_heads):
    module, h = two_heads
    plain = module(h)

    def without_head(value, hook):
        assert hook.name == "blocks.1.attn.hook_result"
        value = value.clone()
        value[:, :, 0] = 0
        return value

    hooks = [("blocks.1.attn.hook_result", without_head)]
    cut = module.run_with_hooks(h, fwd_hooks=hooks)
    _, cache = module.run_with_cache(h, remove_batch_dim=True)
    torch.testing.assert_close(cut, plain - cache["result", 1][:, 0])
    assert torch.equal(module(h), plain)
    swapped = [(lambda name: name.endswith("attn_scores"), lambda value, hook: 0 * value)]
    assert torch.equal(module.run_with_hooks(h, fwd_hooks=swapped), h)
    with module.hooks(swapped):
        assert torch.equal(module(h), h)
    module.add_hook("blocks.0.hook_attn_out", lambda value, hook: None)
    module.add_hook("hook_embed", lambda value, hook: torch.zeros_like(value))
    assert not torch.equal(module(h), plain)
    module.reset_hooks()
    assert torch.equal(module(h), plain)


def test_a_cache_keeps_the_points_that_are_asked_for(two_heads):
    module, h = two_heads
    for names, found in (
        ("hook_embed", ["hook_embed"]),
        (["hook_embed", "blocks.1.attn.hook_q"], ["hook_embed", "blocks.1.attn.hook_q"]),
        (lambda name: name.endswith("hook_k"), [f"blocks.{i}.attn.hook_k" for i in (0, 1)]),
    ):
        assert list(module.run_with_cache(h, names_filter=names)[1]) == found


def test_refused_hooks_are_named(two_heads):
    module, h = two_heads
    with pytest.raises(KeyError, match=r"unknown hook point 'blocks.0.hook_resid'.*did you mean"):
        module.run_with_hooks(h, fwd_hooks=[("blocks.0.hook_resid", lambda value, hook: None)])
    wrong = [("blocks.0.attn.hook_q", lambda value, hook: value[0])]
    with pytest.raises(ValueError, match=r"at blocks.0.attn.hook_q must return shape \(1, 4, 2, 2"):
        module.run_with_hooks(h, fwd_hooks=wrong)
    assert not any(point.is_watched for point in module.hook_dict.values())
    cache = module.run_with_cache(torch.stack([h, h]))[1]
    with pytest.raises(KeyError, match=r"unknown hook point .blocks.2.attn.hook_q."):
        cache["q", 2]
    with pytest.raises(ValueError, match="needs a batch of 1, got 2 at hook_embed"):
        cache.remove_batch_dim()


# As a torch module.


def test_tied_layers_share_parameters_and_gradients_are_those_of_jax(tmp_path):
    stack = compiled("tied", execution="dense")
    module, blocks = in_torch(stack, tmp_path), drawn(RIDGE)
    # two layers of six arrays are held, the step and one outside of it, and five run
    assert len(list(module.parameters())) == 2 * 6 and module.num_layers == 5
    y = torch.tensor(blocks["y"], requires_grad=True)
    module(**{**blocks, "y": y})["w"].sum().backward()
    expected = jax.grad(lambda y: stack(**{**blocks, "y": y})["w"].sum())(blocks["y"])
    assert_close(y.grad, expected, "float64")
    for parameter in module.parameters():
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all()


def test_the_module_moves_and_its_state_comes_back(tmp_path):
    module, blocks = in_torch(compiled("untied"), tmp_path), drawn(RIDGE)
    expected = module(**blocks)["w"].detach()
    state = {name: array.clone() for name, array in module.state_dict().items()}
    single = module.to(torch.float32)
    assert single(**blocks)["w"].dtype == torch.float32
    again = elsa_torch.load(tmp_path / "stack.safetensors")
    with torch.no_grad():
        for parameter in again.parameters():
            parameter.zero_()
    again.load_state_dict(state)
    assert torch.equal(again(**blocks)["w"].detach(), expected)


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_half_precision_comes_bit_for_bit(kind, tmp_path):
    stack = compiled("tied", dtype=kind)
    module = in_torch(stack, tmp_path)
    assert module.dtype == getattr(torch, kind)
    mine, theirs = module.blocks[0].attn.W_Q, stack.weights[0].wq
    assert np.array_equal(mine.detach().float().numpy(), np.asarray(theirs, np.float32))


def test_blocks_without_names_are_refused_with_the_names(tmp_path):
    module = in_torch(compiled("tied"), tmp_path)
    with pytest.raises(TypeError, match=r"by name, as \(X=\.\., y=\.\., w=\.\.\), got 3 without"):
        module(*drawn(RIDGE).values())


def test_the_module_says_what_it_takes_and_returns(tmp_path):
    assert str(in_torch(constructions.ridge_lsa(5, 3, 4, 0.1), tmp_path)).splitlines() == [
        "ridge_lsa: 4 layers, float64",
        "  takes X (5, 3)",
        "  takes ridge (3, 3), holds sqrt(lam) I",
        "  takes y (5, 1)",
        "  takes fit (5, 1), holds X w",
        "  takes w (3, 1), holds sqrt(lam) w",
        "  returns w (3, 1), holds sqrt(lam) w",
    ]


def test_the_page_s_code_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (code,) = [f.text for f in fences(PAGE) if (f.language, f.mode) == ("python", "manual")]
    elsa.export(compiled("tied"), "descent.safetensors")
    names = drawn(RIDGE)
    exec(compile(code, "docs/export.md", "exec"), names)
    assert names["w"].shape == (3, 1) and not torch.equal(names["cut"]["w"], names["out"]["w"])

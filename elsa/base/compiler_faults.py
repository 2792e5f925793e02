"""Faults of a jaxlib that give wrong numbers silently, and the switch that avoids each.

jaxlib 0.10.2 computes some fused sums on a CPU wrongly: of a product with a leading axis of its
own, as `jax.vmap` gives it, the second thread's share is made of the first entries' factors again
(jax-ml/jax issue 39103; right in 0.10.1 and from 0.11.0 on). It is the newest jaxlib for Python
3.11. Its kernels for fused sums are left out, and XLA's own compute them.
"""

import importlib.metadata
import os
import sys
import warnings

_SWITCHES = {"0.10.2": "--xla_cpu_experimental_ynn_fusion_type="}  # jaxlib -> flag of XLA


def avoid() -> None:
    """Sets the flag that this jaxlib needs, before XLA reads them; a flag that is set stays.

    Warns:
      RuntimeWarning: where jax has computed before, so that XLA has read its flags.
    """
    switch = _SWITCHES.get(_jaxlib())
    given = os.environ.get("XLA_FLAGS", "")
    if switch is None or switch.partition("=")[0] in given:
        return
    if _has_computed():
        warnings.warn(
            f"jax has computed before `import elsa`, and jaxlib {_jaxlib()} gives wrong sums on a "
            f"CPU unless it starts with XLA_FLAGS={switch}; import elsa first, or set that",
            RuntimeWarning,
            stacklevel=3,
        )
        return
    os.environ["XLA_FLAGS"] = f"{given} {switch}".strip()


def _jaxlib() -> str:
    try:
        return importlib.metadata.version("jaxlib")
    except importlib.metadata.PackageNotFoundError:
        return ""


def _has_computed() -> bool:
    """Whether jax has started a device; it says so only within."""
    bridge = sys.modules.get("jax._src.xla_bridge")
    return bool(getattr(bridge, "backends_are_initialized", bool)())

"""The compiler: trace -> graph -> polynomials -> plan -> schedule -> slots -> heads -> stack."""

from elsa.compiler.errors import CompileError
from elsa.compiler.pipeline import compile
from elsa.compiler.stack import CompiledStack

__all__ = ["CompileError", "CompiledStack", "compile"]

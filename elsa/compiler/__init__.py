"""The compiler: a step -> graph -> plan -> places -> heads -> weights, a stack of them."""

from elsa.compiler.errors import CompileError
from elsa.compiler.pipeline import compile
from elsa.compiler.stack import CompiledStack

__all__ = ["CompileError", "CompiledStack", "compile"]

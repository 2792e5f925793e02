"""Layouts: where the named blocks of a prompt lie, prompts by name, and packing of tasks."""

from elsa.prompts import edits
from elsa.prompts.layout import BlockLayout, Box, overlap
from elsa.prompts.named import PromptFormat, custom_format, named_format
from elsa.prompts.packing import PackedPrompt, packed
from elsa.prompts.roles import role_indicator, row_roles

__all__ = [
    "BlockLayout",
    "Box",
    "PackedPrompt",
    "PromptFormat",
    "custom_format",
    "edits",
    "named_format",
    "overlap",
    "packed",
    "role_indicator",
    "row_roles",
]

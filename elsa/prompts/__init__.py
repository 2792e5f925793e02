"""Where the blocks of a prompt lie."""

from elsa.prompts import edits
from elsa.prompts.layout import BlockLayout, Box, overlap

__all__ = ["BlockLayout", "Box", "edits", "overlap"]

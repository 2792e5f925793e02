"""Stacks as files: dense weights in safetensors, with the metadata needed to run them.

The metadata has one entry, `elsa`, a JSON object:

    version   of this format, 1
    name      of the step that was compiled, of the construction, or of the class of any other stack
    dtype     of the weights, and to compute in
    skip      "residual" adds the prompt to every layer's output; "head" has a head that returns it
    tied      false where the step's weights carry one more axis in front, one entry for each time
    depth     how often the step's layers run
    order     what runs: [{"part": "prologue", "layers": [names], "times": 1}, step, epilogue]
    layout    where the inputs lie: {"blocks": {name: [row, col, height, width]}, "shape": [n, m],
              "transposed": [names of blocks that lie transposed]}
    readout   where the blocks lie after the last layer; its shape is that of the prompt, which
              is the layout's with rows and channels appended
    inputs    name -> shape of what a call takes
    outputs   name -> shape of what it returns
    holds     name -> what the block holds, where that is not the value of its name

For a stack without named blocks the last five are null. Layer L has the tensors `L.wq`, `L.wk`,
`L.wv`, heads along the first axis, and `L.bq`, `L.bk`, `L.bv` unless it has no biases.
"""

from elsa.exchange.reading import load
from elsa.exchange.writing import export

__all__ = ["export", "load"]

"""From a graph to layers: which products each layer forms, and in which order."""

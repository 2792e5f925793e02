"""From planned layers to places in a private prompt, symbolic heads and dense weights."""

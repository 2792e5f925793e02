"""Experiments on softmax regression."""

"""A function for the demo's language model to test."""


def larger(a, b):
    """The larger of a and b."""
    return a if a > b else b

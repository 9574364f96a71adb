"""A function that the small model of the demo finds hard to test."""


def square(number):
    """The number times itself."""
    return number * number

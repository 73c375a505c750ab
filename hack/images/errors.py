"""The one error type that the command line shows without a traceback."""


class ImageError(RuntimeError):
    """What went wrong and what cures it, in a sentence a developer can act on."""

"""What a user can cure: said in one line, without a traceback."""


class CliError(Exception):
    """Root of the command line's errors."""


class NotThere(CliError):
    """There is no such request."""


class Unreachable(CliError):
    """The cluster does not answer, or does not let us in."""


class AlreadyThere(CliError):
    """An object of that name is there, and is not written over."""


class Unreadable(CliError):
    """An object is there, but is not what we know."""

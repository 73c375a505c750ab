"""What can stop a run, told apart by what helps."""


class InvalidRequest(Exception):
    """The request itself cannot be served; trying again changes nothing.

    The message names the field, its value and the cure.
    """


class CandidateFailed(Exception):
    """One candidate cannot be measured; the others still can."""


class MeasurementFailed(Exception):
    """A load did not give a result; the engine may be fine."""

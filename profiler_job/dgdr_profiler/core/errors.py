"""What can stop a run, told apart by what helps."""

from dgdr_api.redaction import without_secrets


class InvalidRequest(Exception):
    """The request itself cannot be served; trying again changes nothing.

    The message names the field, its value and the cure.
    """


class QuotesPods(Exception):
    """An error whose text quotes engines and load tool: it ends up in conditions and reports."""

    def __init__(self, text: str) -> None:
        super().__init__(without_secrets(text))


class CandidateFailed(QuotesPods):
    """One candidate cannot be measured; the others still can.

    ``lasting`` is False when the next pod of the Job may have more luck. ``image`` is the one that
    cannot be pulled, when that is why.
    """

    def __init__(self, text: str, *, lasting: bool = True, image: str | None = None) -> None:
        super().__init__(text)
        self.lasting = lasting
        self.image = image


class MeasurementFailed(QuotesPods):
    """A load did not give a result; the engine may be fine."""

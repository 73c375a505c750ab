"""Both versions of the kinds of upstream, each without loss in the other."""

from dgdr_api.conversion.objects import ALPHA, BETA, KINDS, NOTES, converted

__all__ = ["ALPHA", "BETA", "KINDS", "NOTES", "converted"]

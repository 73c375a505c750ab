"""CEL rules of the CRDs, as values.

A message says which value is wrong and what cures it; the API server puts the field's path in
front of it.
"""

from dataclasses import dataclass

from pydantic import JsonValue

KEY = "x-kubernetes-validations"

INVALID = "FieldValueInvalid"
FORBIDDEN = "FieldValueForbidden"


@dataclass(frozen=True, slots=True, kw_only=True)
class CelRule:
    """One rule.

    Attributes:
        expression: true for a good object.
        message: said when it is false, and when ``message_expression`` cannot be computed.
        at: path of the field to blame, relative to where the rule stands, such as ``.itl``.
        reason: class of the error.
        message_expression: CEL that computes a message with the offending value.
    """

    expression: str
    message: str
    at: str | None = None
    reason: str = INVALID
    message_expression: str | None = None

    def to_json(self) -> JsonValue:
        """Return the entry of ``x-kubernetes-validations``."""
        made: dict[str, JsonValue] = {
            "rule": self.expression,
            "message": self.message,
            "reason": self.reason,
        }
        if self.at:
            made["fieldPath"] = self.at
        if self.message_expression:
            made["messageExpression"] = self.message_expression
        return made


def extension(*rules: CelRule) -> dict[str, JsonValue]:
    """Return the schema extension that holds the rules."""
    return {KEY: [rule.to_json() for rule in rules]}

"""Windows by line: one JSON object in, one out."""

import json
import logging

from dgdr_planner.virtual.session import Session
from dgdr_planner.virtual.window import BadWindow, read_window

log = logging.getLogger(__name__)


def answer_line(session: Session, line: bytes) -> str:
    """Return the answer to a line, without a line end; what is wrong with it is an answer too."""
    try:
        return session.answer(read_window(line)).to_json()
    except BadWindow as exc:
        return error_line(str(exc))
    except Exception as exc:
        return undigested(exc)


def undigested(exc: Exception) -> str:
    """Say that we failed: one window must not end a planner that others wait for."""
    log.error("a window could not be answered", exc_info=exc)
    return error_line(f"this window could not be answered ({type(exc).__name__}: {exc})")


def error_line(text: str) -> str:
    """Return an error as one line."""
    return json.dumps({"error": text}, ensure_ascii=False)

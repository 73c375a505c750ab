"""The end of a container's log, as a failure quotes it. Pure."""

# What is read to find the lines that are quoted: two minutes of the noise below.
TAIL_LINES = 120
QUOTED_LINES = 5
# Workers of Dynamo 1.6 call it an ERROR that they answer the startup probe with 503, once a second,
# whatever becomes of them.
_NOISE = ("tower_http::trace::on_failure",)

READ_LOGS = "logs are read only with the chart's profiling.readLogs: true"
"""The cure where a log would have said more."""


def last_words(log: str) -> str:
    """Return the last lines of a log's tail that tell something."""
    told = (line for line in log.splitlines() if line.strip() and not _is_noise(line))
    return "\n".join([*told][-QUOTED_LINES:])


def _is_noise(line: str) -> bool:
    return any(mark in line for mark in _NOISE)

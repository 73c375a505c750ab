"""Upstream's own four predictors, one step ahead, in a virtual environment of their own.

``predictions`` makes the environment once in the user's cache (about 700 MB: pandas, Prophet,
scikit-learn) and asks the installed release's code. Run as a program by that environment's Python
it reads ``{"counts": [[...], ...], "names": [...]}`` and answers
``{predictor: [[forecast of each window], ...]}``.
"""

import fcntl
import importlib.util
import json
import os
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

RELEASE = "1.6.1"
NEEDS = (
    "numpy==1.26.4",
    "scipy<1.15",
    "pandas",
    "pmdarima==2.1.1",
    "filterpy",
    "prophet",
    "scikit-learn<1.6",
    "setuptools",
)
PREDICTORS = ("constant", "arima", "kalman", "prophet")
PREDICTORS_FILE = "dynamo/planner/core/load/predictors.py"
#: Upstream's defaults of these options in that release.
CONFIG = SimpleNamespace(
    load_predictor_log1p=False,
    prophet_window_size=50,
    throughput_adjustment_interval_seconds=60,
    kalman_q_level=1.0,
    kalman_q_trend=0.1,
    kalman_r=10.0,
    kalman_min_points=5,
)


def predictions(
    counts: list[list[float]], names: Sequence[str] = PREDICTORS
) -> dict[str, list[list[float]]]:
    """Return one-step forecasts of upstream's predictors for series of counts per window."""
    python = environment()
    asked = json.dumps({"counts": counts, "names": list(names)})
    told = subprocess.run(
        [str(python), str(Path(__file__).resolve())],
        input=asked,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    answer: dict[str, list[list[float]]] = json.loads(told.stdout)
    return answer


def environment() -> Path:
    """Return the Python of the environment with the release; make it where it is not there."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "dgdr-operator"
    folder = cache / f"upstream-planner-{RELEASE}"
    python, done = folder / "bin" / "python", folder / "complete"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f"{folder.name}.lock").open("w") as lock:
        # Two benchmarks at once must not build into each other.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            _build(folder, python)
            done.touch()
    return python


def _build(folder: Path, python: Path) -> None:
    venv.create(folder, with_pip=True, clear=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--no-input"]
    for wanted in (NEEDS, ("--no-deps", f"ai-dynamo=={RELEASE}")):
        subprocess.run([*pip, *wanted], check=True, stdout=sys.stderr)


def _predictors() -> dict[str, Any]:
    """Load the one file that the predictors are in: the package around it needs engines."""
    for name in ("dynamo.runtime.logging", "dynamo.planner.config.planner_config"):
        parts = name.split(".")
        for depth in range(1, len(parts) + 1):
            sys.modules.setdefault(".".join(parts[:depth]), ModuleType(parts[depth - 1]))
    vars(sys.modules["dynamo.runtime.logging"])["configure_dynamo_logging"] = lambda: None
    vars(sys.modules["dynamo.planner.config.planner_config"])["PlannerConfig"] = object
    path = Path(sysconfig.get_paths()["purelib"]) / PREDICTORS_FILE
    spec = importlib.util.spec_from_file_location("upstream_predictors", path)
    if spec is None or spec.loader is None:
        raise RuntimeError(f"{path} is missing: delete the environment and run again")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: dict[str, Any] = module.LOAD_PREDICTORS
    return found


def _one_step(predictor: Any, counts: list[float]) -> list[float]:
    """Return what was said of each window before it came; nothing is said of the first."""
    told = [0.0]
    for count in counts[:-1]:
        predictor.add_data_point(count)
        told.append(float(predictor.predict_next()))
    return told


def main() -> None:
    """Answer one request on standard input."""
    asked = json.load(sys.stdin)
    classes = _predictors()
    answer = {
        name: [_one_step(classes[name](CONFIG), counts) for counts in asked["counts"]]
        for name in asked["names"]
    }
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()

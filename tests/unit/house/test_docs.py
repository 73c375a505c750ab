"""Pages that name files and fields name those that exist, and all of the fields."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from dgdr_api.models.dgd_v1beta1 import DynamoGraphDeployment
from dgdr_api.models.dgdr_v1beta1 import DynamoGraphDeploymentRequest
from dgdr_api.models.dgdsa import DynamoGraphDeploymentScalingAdapter
from dgdr_api.models.gpu_budget import GPUBudget
from dgdr_api.models.profiling_policy import ProfilingPolicy
from dgdr_api.models.sla_planner import SLAPlanner
from dgdr_api.models.worker_metadata import DynamoWorkerMetadata

ROOT = Path(__file__).resolve().parents[3]
PAGES = [
    *sorted((ROOT / "docs").rglob("*.md")),
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    ROOT / "helm/dgdr-operator/README.md",
]
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)[^)]*\)")
# A path in back-ticks that starts with one of our folders.
OURS = "operator|planner|profiler_job|tests|crds|helm|hack|examples|docs|bench"
PATH = re.compile(rf"`((?:{OURS})/[\w./*-]*)`")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_paths_lead_somewhere(page: Path) -> None:
    text = page.read_text()
    dead = [link for link in LINK.findall(text) if not (page.parent / link).exists()]
    # operator/__init__.py is named because it must not be there.
    named = [path for path in PATH.findall(text) if not path.endswith("__init__.py")]
    dead += [path for path in named if not list(ROOT.glob(path))]
    assert dead == []


@pytest.mark.parametrize(
    ("page", "kind"),
    [
        ("dgd", DynamoGraphDeployment),
        ("dgdr", DynamoGraphDeploymentRequest),
        ("dgdsa", DynamoGraphDeploymentScalingAdapter),
        ("dynamoworkermetadata", DynamoWorkerMetadata),
        ("gpubudget", GPUBudget),
        ("profilingpolicy", ProfilingPolicy),
        ("slaplanner", SLAPlanner),
    ],
)
def test_the_page_of_a_kind_names_every_field_of_its_spec(page: str, kind: type[BaseModel]) -> None:
    text = (ROOT / f"docs/kinds/{page}.md").read_text()
    words = set(re.findall(r"\w+", text))
    assert sorted(set(fields_of(kind.model_fields["spec"].annotation)) - words) == []


def fields_of(annotation: Any) -> Iterator[str]:
    """Yield the names that a user writes, at any depth."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        for name, field in annotation.model_fields.items():
            yield field.alias or name
            yield from fields_of(field.annotation)
    else:
        for inner in get_args(annotation):
            yield from fields_of(inner)


def test_there_is_a_page_for_each_kind_and_no_other() -> None:
    pages = {path.stem for path in (ROOT / "docs/kinds").glob("*.md")}
    singular = {"dgdr", "dgd", "dgdsa", "dynamoworkermetadata"}
    singular |= {"gpubudget", "profilingpolicy", "slaplanner"}
    assert pages == singular
    assert len(list((ROOT / "crds").glob("*.yaml"))) == len(pages)

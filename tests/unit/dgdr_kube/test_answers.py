"""What an API server, or whoever stands before it, may answer to a list."""

from typing import Any

import pytest

from dgdr_kube.answers import error_of, page_of, read_json
from dgdr_kube.errors import NotFound, NotServed, Rejected, Unreachable
from dgdr_kube.kinds import CONFIG_MAP

ITEM = {"metadata": {"namespace": "ns", "name": "a", "resourceVersion": "3"}}


def test_items_get_the_kind_of_their_list() -> None:
    page = page_of({"metadata": {"resourceVersion": "5"}, "items": [ITEM]}, CONFIG_MAP, "LIST")
    assert page.items == [{"apiVersion": "v1", "kind": "ConfigMap", **ITEM}]
    assert (page.version, page.token) == ("5", "")


def test_a_list_without_items_is_empty() -> None:
    assert (
        page_of({"metadata": {"resourceVersion": "5"}, "items": None}, CONFIG_MAP, "").items == []
    )


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param({"message": "<html>"}, id="a page of a proxy"),
        pytest.param({"metadata": {"resourceVersion": "5"}}, id="no items"),
        pytest.param({"metadata": {}, "items": []}, id="no version"),
        pytest.param({"metadata": {"resourceVersion": "x"}, "items": []}, id="no number"),
        pytest.param({"metadata": None, "items": []}, id="null"),
        pytest.param({"metadata": {"resourceVersion": "5"}, "items": ["a"]}, id="texts"),
        pytest.param({"metadata": {"resourceVersion": "5"}, "items": [{}]}, id="half an object"),
        pytest.param(
            {
                "metadata": {"resourceVersion": "5"},
                "items": [{"metadata": {"resourceVersion": "3"}}],
            },
            id="an object without a name",
        ),
    ],
)
def test_what_is_no_list_is_not_taken_for_an_empty_one(answer: Any) -> None:
    with pytest.raises(Unreachable, match="no list"):
        page_of(answer, CONFIG_MAP, "LIST /api/v1/configmaps")


def test_what_is_deeper_than_the_stack_is_no_list() -> None:
    with pytest.raises(Unreachable, match="no list"):
        page_of(read_json(b'{"a":' * 2000 + b"1" + b"}" * 2000), CONFIG_MAP, "LIST")


@pytest.mark.parametrize(
    ("header", "wait_s"),
    [
        ("7", 7.0),
        (" 1 ", 1.0),
        ("3600", 30.0),
        ("9" * 400, 30.0),
        (None, None),
        ("", None),
        ("Wed, 21 Oct 2025 07:28:00 GMT", None),
    ],
)
def test_how_long_an_overloaded_server_asks_us_to_wait(
    header: str | None, wait_s: float | None
) -> None:
    error = error_of(429, "GET /x", {"message": "too many requests"}, header)
    assert isinstance(error, Unreachable)
    assert error.retry_after_s == wait_s


def test_an_object_is_gone_only_where_the_api_server_says_so() -> None:
    told = {"kind": "Status", "reason": "NotFound", "message": 'configmaps "a" not found'}
    assert isinstance(error_of(404, "GET /x", told), NotFound)


@pytest.mark.parametrize("page", ["<html>404 Not Found</html>", "404 page not found"])
def test_a_page_of_a_proxy_deletes_nothing(page: str) -> None:
    error = error_of(404, "GET /x", read_json(page.encode()))
    assert isinstance(error, Unreachable)
    assert page in str(error)


@pytest.mark.parametrize(
    ("page", "is_told"), [("404 page not found\n", True), ("<html>404 Not Found</html>", False)]
)
def test_a_path_that_the_server_does_not_know_is_told_from_an_outage(
    page: str, is_told: bool
) -> None:
    error = error_of(404, "GET /apis/resource.k8s.io/v1/x", read_json(page.encode()))
    assert isinstance(error, NotServed) is is_told


def test_a_body_of_other_types_is_refused_and_no_outage() -> None:
    said = "failed to create typed patch object (ns/g; apps/v1, Kind=Deployment): .spec.x: expected"
    error = error_of(500, "PATCH /x", {"message": said})
    assert isinstance(error, Rejected)
    assert error.status == 422
    assert isinstance(error_of(500, "PATCH /x", {"message": "etcdserver: timeout"}), Unreachable)

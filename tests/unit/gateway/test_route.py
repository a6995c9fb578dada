"""The route table: everything else does not exist."""

import pytest

from gateway.route import LATER, ROUTES, MethodNotAllowed, NotOfferedYet, Route, Table
from shared.errors import NotFound

TABLE = Table()


@pytest.mark.parametrize(
    ("method", "path", "template"),
    [
        ("POST", "/v1/dossiers", "/v1/dossiers"),
        ("POST", "/v1/dossiers/batch", "/v1/dossiers/batch"),
        ("POST", "/v1/dossiers/search", "/v1/dossiers/search"),
        ("GET", "/v1/dossiers/H08.15-230301-0001", "/v1/dossiers/{code}"),
        ("POST", "/v1/dossiers/transitions/batch", "/v1/dossiers/transitions/batch"),
        ("POST", "/v1/dossiers/H08.15-230301-0001/transitions", "/v1/dossiers/{code}/transitions"),
        ("GET", "/v1/procedures/2.000488", "/v1/procedures/{code}"),
        ("GET", "/console", "/console"),
        ("GET", "/console/", "/console/{rest}"),
        ("GET", "/console/sync/live", "/console/{rest}"),
        ("GET", "/console/static/app.css", "/console/static/{rest}"),
    ],
)
def test_a_path_finds_its_most_literal_route(method: str, path: str, template: str) -> None:
    assert TABLE.find(method, path).route.template == template


def test_parameters_are_decoded() -> None:
    assert TABLE.find("GET", "/v1/dossiers/H08%2E15-230301-0001").parameters == {"code": "H08.15-230301-0001"}


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1",
        "/v1/dossiers/",
        "/v1//dossiers",
        "/v1/dossiers/a/b/c",
        "/v2/dossiers",
        "/V1/dossiers",
        "/internal/dossiers/read",
        "//internal/dossiers/read",
        "/console/../internal/dossiers/read",
        "/console/%2e%2e/internal/dossiers/read",
        "/console/%2e%2e%2finternal/dossiers/read",
        "/console/..%5cinternal",
        "/v1/dossiers/a%2fb",
        "/v1/dossiers/a%00",
        "/v1/dossiers/%ff",
        "/v1/dossiers/%0d%0aHost:%20x",
        "/metrics/",
        "*",
        "",
    ],
)
def test_what_is_not_in_the_table_does_not_exist(path: str) -> None:
    with pytest.raises(NotFound):
        TABLE.find("GET", path)


def test_another_method_names_those_that_are_offered() -> None:
    with pytest.raises(MethodNotAllowed) as refused:
        TABLE.find("DELETE", "/v1/agencies/H08")
    assert refused.value.headers == {"Allow": "GET, PUT"}


def test_internal_paths_cannot_be_routed() -> None:
    with pytest.raises(ValueError, match="never routed"):
        Table([Route("POST", "/internal/dossiers/read", "dossier", "dossier:read")])


def test_a_token_route_without_a_scope_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="needs its scope"):
        Table([Route("GET", "/v1/anything", "dossier")])


def test_one_operation_cannot_have_two_routes() -> None:
    twice = Route("GET", "/v1/things/{a}", "dossier", "dossier:read")
    with pytest.raises(ValueError, match="twice"):
        Table([twice, Route("GET", "/v1/things/{b}", "payment", "payment:read")])


def test_every_versioned_route_needs_a_token() -> None:
    open_routes = [route.template for route in ROUTES if route.template.startswith("/v1/") and route.scope is None]
    assert open_routes == []


@pytest.mark.parametrize(("method", "template"), LATER)
def test_what_the_contract_promises_for_later_says_so(method: str, template: str) -> None:
    with pytest.raises(NotOfferedYet):
        TABLE.find(method, template.replace("{id}", "1"))


def test_what_is_promised_for_later_is_not_there_yet() -> None:
    assert not {(route.method, route.template) for route in ROUTES} & set(LATER)

"""Conformance of the generated OpenAPI description with the handlers and a live server."""

import msgspec
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from codeintel_nb.operations.table import OPERATIONS as TABLE
from codeintel_nb.scopes.scope import Scope
from codeintel_nb.server.openapi import description
from jupyter_ext.handlers import ALL, ROUTES
from tests.live import TOKEN, shop_server

METHODS = {"get", "put", "post", "patch", "delete"}
CASES = 2_100
CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
)

described = msgspec.json.decode(description(ALL))
SCHEMA = schemathesis.openapi.from_dict(described)
TRIED: list[int] = []  # response statuses
OPERATIONS = [
    (path, method)
    for path, described_path in described["paths"].items()
    for method in described_path
    if method in METHODS and path != "/repositories/{name}/events"
]  # events are a stream; test_jobs.py reads one to its end


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Yield a server for this module alone: some requests index its root folder."""
    with shop_server(tmp_path_factory.mktemp("described")) as made:
        yield made


def test_routes_and_described_operations_match():
    live = {
        ("/" + path, method)
        for path, handler in ROUTES.items()
        for method in METHODS
        if method in vars(handler)
    }
    assert live == {
        (path, method)
        for path, methods in described["paths"].items()
        for method in methods
        if method in METHODS
    }


def test_description_has_every_operation_with_its_fields_described():
    names = {
        part["operationId"]
        for path in described["paths"].values()
        for method, part in path.items()
        if method in METHODS
    }
    assert len(names) == len(ALL) + 1, "each once, and the description itself"
    schemas = described["components"]["schemas"]
    assert set(schemas["ScopeChange"]["properties"]) == {
        *Scope.__struct_fields__,
        "branches",
        "commit",
    }
    for operation in TABLE:
        schema = schemas.get(operation.request.__name__)
        if schema is not None:
            bare = {
                name for name, part in schema["properties"].items() if "description" not in part
            }
            assert bare <= {"type"}, operation.name


@pytest.mark.slow
@pytest.mark.parametrize("mode", list(GenerationMode))
@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_responses_conform_to_the_description(server, path, method, mode):
    if path == "/map":
        # compute the layout first: it takes longer than these clients wait
        server.ask("POST", "map", {})
    operation = SCHEMA[path][method.upper()]
    wanted, met = CASES // len(OPERATIONS) // 2 + 1, []

    @settings(
        max_examples=wanted,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(mode))
    def run(case):
        response = case.call(
            base_url=f"http://127.0.0.1:{server.port}{server.base_url}codeintel/v1",
            headers={"Authorization": f"token {TOKEN}"},
        )
        met.append(response.status_code)
        case.validate_response(response, checks=CHECKS)

    try:
        run()
    except Unsatisfiable:
        assert mode == GenerationMode.NEGATIVE, "every operation has valid requests"
        pytest.fail("no invalid request")
    TRIED.extend(met)


@pytest.mark.slow
def test_enough_cases_were_tried():
    assert len(TRIED) >= 2_000, "too few cases to be conclusive"
    assert {status // 100 for status in TRIED} == {2, 4}

"""openapi.yml against the handlers, the wire values, and a live server."""

from pathlib import Path

import msgspec
import pytest
import schemathesis
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

import jupyter_ext
from codeintel_nb.api import panel, wire
from codeintel_nb.scopes.scope import Scope
from codeintel_nb.search.facets import Facets
from codeintel_nb.search.hit import FileText
from codeintel_nb.search.points import Points
from jupyter_ext.handlers import ROUTES
from tests.live import TOKEN, shop_server

DESCRIPTION = Path(jupyter_ext.__file__).parent / "openapi.yml"
METHODS = {"get", "put", "post", "patch", "delete"}
PANEL = (panel.PanelState, panel.PanelCount, panel.PanelSearch, panel.PanelFolder)
VALUES = (
    wire.TextRequest, wire.SemanticRequest, wire.SymbolsRequest, wire.PathsRequest, wire.SqlRequest, wire.IndexRequest, wire.RefreshRequest, wire.FacetsRequest, wire.MapRequest, wire.SearchAnswer, wire.TableAnswer,
    wire.ScopeAnswer, wire.SessionsAnswer, wire.SavedScopes, wire.RepositoriesAnswer, wire.JobState, wire.Health, wire.Problem, FileText, Facets, Points, Scope, *PANEL,
)  # fmt: skip
CASES = 2_100
CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
)

described = yaml.safe_load(DESCRIPTION.read_text())
SCHEMA = schemathesis.openapi.from_dict(described)
TRIED: list[int] = []  # statuses met
OPERATIONS = [
    (path, method)
    for path, described_path in described["paths"].items()
    for method in described_path
    if method in METHODS and path != "/repositories/{name}/events"
]  # events are a stream: test_jobs.py reads one to its end


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server of these tests alone: some requests index its root folder."""
    with shop_server(tmp_path_factory.mktemp("described")) as made:
        yield made


def test_every_route_is_described_and_every_description_has_a_route():
    live = {
        ("/" + path, method)
        for path, handler in ROUTES
        for method in METHODS
        if method in vars(handler)
    }
    assert live == {
        (path, method)
        for path, methods in described["paths"].items()
        for method in methods
        if method in METHODS
    }


def test_the_components_are_the_values_that_cross_the_wire():
    _, components = msgspec.json.schema_components(
        VALUES, ref_template="#/components/schemas/{name}"
    )
    schemas = described["components"]["schemas"]
    assert {
        name: schema for name, schema in schemas.items() if name != "ScopeChange"
    } == msgspec.json.decode(msgspec.json.encode(components))
    assert set(schemas["ScopeChange"]["properties"]) == {
        *Scope.__struct_fields__,
        "branches",
        "commit",
    }


@pytest.mark.parametrize("mode", list(GenerationMode))
@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_no_request_meets_a_server_error_or_an_undocumented_answer(server, path, method, mode):
    if path == "/map":
        server.ask(
            "POST", "map", {}
        )  # the first one is laid out, which takes longer than a client of these waits
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


def test_there_were_enough_cases():
    assert len(TRIED) >= 2_000, "of no weight otherwise"
    assert {status // 100 for status in TRIED} == {2, 4}

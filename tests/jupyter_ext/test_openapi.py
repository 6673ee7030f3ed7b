"""Conformance of openapi.yml with the handlers, the wire types and a live server."""

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
from codeintel_nb.operations import values as wire
from codeintel_nb.output import panel_state as panel
from codeintel_nb.scopes.scope import Scope
from codeintel_nb.search.code_map.points import Points
from codeintel_nb.search.facets import Facets
from codeintel_nb.search.hit import FileText
from jupyter_ext.handlers import ROUTES
from tests.live import TOKEN, shop_server

DESCRIPTION = Path(jupyter_ext.__file__).parent / "openapi.yml"
METHODS = {"get", "put", "post", "patch", "delete"}
PANEL = (panel.PanelState, panel.PanelCount, panel.PanelSearch, panel.PanelFolder)
VALUES = (
    wire.TextRequest,
    wire.SemanticRequest,
    wire.SymbolsRequest,
    wire.PathsRequest,
    wire.SqlRequest,
    wire.IndexRequest,
    wire.RefreshRequest,
    wire.FacetsRequest,
    wire.MapRequest,
    wire.SearchAnswer,
    wire.TableAnswer,
    wire.ScopeAnswer,
    wire.SessionsAnswer,
    wire.SavedScopes,
    wire.RepositoriesAnswer,
    wire.JobState,
    wire.Health,
    wire.Problem,
    FileText,
    Facets,
    Points,
    Scope,
    *PANEL,
)
CASES = 2_100
CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
)

described = yaml.safe_load(DESCRIPTION.read_text())
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


def test_schemas_match_the_wire_types():
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


def test_enough_cases_were_tried():
    assert len(TRIED) >= 2_000, "too few cases to be conclusive"
    assert {status // 100 for status in TRIED} == {2, 4}

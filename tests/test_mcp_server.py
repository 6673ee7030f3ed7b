"""The MCP server, driven by the official SDK's client.

Every tool, over stdio and HTTP, in old and new protocol versions.
"""

import asyncio
import json
import os
import re
import subprocess
import sys
import threading
import uuid

import jsonschema
import pytest
from mcp import Client, StdioServerParameters
from mcp.shared.exceptions import MCPError
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS

from codeintel_nb.errors import SessionError, SourceError
from codeintel_nb.mcp_server.server import file_of, file_uri, make_server
from codeintel_nb.mcp_server.tools import TOOLS, call
from codeintel_nb.mcp_server.values import schema_of
from codeintel_nb.operations.limits import Limits
from codeintel_nb.scopes.registries import open_registry
from codeintel_nb.server.backend import ServiceBackend
from codeintel_nb.server.service import SharedService
from tests import live
from tests.serving import TOKEN

MODES = ("legacy", "auto")


@pytest.fixture
def backend(served_home):
    from codeintel_nb import Workspace

    service = SharedService(
        Workspace.open(served_home),
        open_registry("memory://"),
        Limits(30.0, 100_000),
        (),
        2,
        False,
        print,
    )
    yield ServiceBackend(service)
    service.close()


def stdio(home, *options):
    return StdioServerParameters(
        command=sys.executable,
        args=["-m", "codeintel_nb.cli", "mcp", "--home", str(home), *options],
        env=dict(os.environ),
    )


async def ask(client, tool, **arguments):
    """Return a tool's structured answer, validated against its schema."""
    answer = await client.call_tool(tool, arguments)
    assert not answer.is_error, answer.content[0].text
    assert answer.content[0].text
    jsonschema.validate(answer.structured_content, schema_of(TOOLS[tool].answer))
    return answer.structured_content


async def every_tool(client, **session):
    """Use every tool within one session."""
    listed = (await client.list_tools()).tools
    assert {tool.name for tool in listed} == set(TOOLS)
    told = await ask(client, "set_scope", languages=["py"], repos=["shop"], **session)
    assert told["scope"] == {"languages": ["python"], "repos": ["shop"]}
    assert told["coverage"]["files_in_scope"] == 4
    found = await ask(client, "search_text", pattern="cart", limit=2, **session)
    assert found["truncated"] is True
    assert found["scope"] == told["scope"]
    assert {hit["language"] for hit in found["hits"]} == {"python"}
    assert found["coverage"]["files_in_scope"] == 4
    assert found["session_id"] == told["session_id"]
    best = await ask(client, "semantic_search", query="charge a credit card", **session)
    assert best["hits"][0]["path"] == "src/shop/payment.py"
    other = await ask(
        client, "semantic_search", query="shopping cart", languages=["javascript"], **session
    )
    assert {hit["language"] for hit in other["hits"]} <= {"javascript"}
    (symbol,) = (await ask(client, "search_symbols", name="charge_card", **session))["hits"]
    assert symbol["signature"].startswith("def charge_card")
    paths = await ask(client, "list_paths", **session)
    assert "src/shop/cart.py" in {hit["path"] for hit in paths["hits"]}
    opened = await ask(
        client,
        "open_file",
        repo="shop",
        path="src/shop/cart.py",
        start_line=6,
        end_line=6,
        **session,
    )
    assert opened["file"]["text"] == "class Cart:"
    assert opened["truncated"] is True
    status = await ask(client, "repository_status", **session)
    assert {one["name"] for one in status["repositories"]} == {"shop", "many"}
    assert (await ask(client, "get_scope", **session))["scope"] == told["scope"]
    assert (await ask(client, "clear_scope", **session))["scope"] == {}
    assert (await ask(client, "get_scope", **session))["scope"] == {}
    read = await client.read_resource("file://shop/src/shop/cart.py")
    assert read.contents[0].text.startswith('"""The shopping cart."""')
    (template,) = (await client.list_resource_templates()).resource_templates
    assert template.uri_template == "file://{repository}/{path}"
    missing = await client.call_tool(
        "open_file", {"repo": "shop", "path": "src/shop/kart.py", **session}
    )
    assert missing.is_error
    assert "Did you mean 'src/shop/cart.py'?" in missing.content[0].text


@pytest.mark.parametrize("mode", MODES)
def test_every_tool_over_stdio(served_home, mode):
    async def run():
        async with Client(stdio(served_home), mode=mode) as client:
            assert client.protocol_version in (
                MODERN_PROTOCOL_VERSIONS if mode == "auto" else HANDSHAKE_PROTOCOL_VERSIONS
            )
            await every_tool(client)  # the process serves one client, in one session
            await every_tool(client, session_id="named")

    asyncio.run(run())


@pytest.mark.parametrize("mode", MODES)
def test_every_tool_over_http(serving, mode):
    async def run():
        async with serving.client(mode) as client:
            await every_tool(client, session_id=f"http-{mode}")
        async with serving.client(mode, **{"X-Session-ID": f"header-{mode}"}) as client:
            await every_tool(client)
            assert (await ask(client, "get_scope", session_id="another"))[
                "session_id"
            ] == f"header-{mode}", "the header takes precedence"

    asyncio.run(run())


@pytest.mark.parametrize("version", HANDSHAKE_PROTOCOL_VERSIONS)
def test_every_handshake_protocol_version(serving, version):
    """Speak JSON-RPC over plain HTTP, as clients without the SDK do."""
    accept = {"Accept": "application/json, text/event-stream"}
    hello = {
        "protocolVersion": version,
        "capabilities": {},
        "clientInfo": {"name": "t", "version": "1"},
    }
    status, headers, answer = serving.ask(
        "POST",
        "mcp",
        {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello},
        accept,
        "/",
    )
    assert (status, answer["result"]["protocolVersion"]) == (200, version)
    assert "set_scope" in answer["result"]["instructions"]
    session = {
        **accept,
        "Mcp-Session-Id": headers["Mcp-Session-Id"],
        "MCP-Protocol-Version": version,
    }
    assert (
        serving.ask(
            "POST", "mcp", {"jsonrpc": "2.0", "method": "notifications/initialized"}, session, "/"
        )[0]
        == 202
    )

    def tool(name, **arguments):
        return serving.ask(
            "POST",
            "mcp",
            {
                "jsonrpc": "2.0",
                "id": 2,
                "method": "tools/call",
                "params": {"name": name, "arguments": arguments},
            },
            session,
            "/",
        )[2]

    assert "session_id" in tool("set_scope", languages=["go"])["result"]["content"][0]["text"]
    assert "--lang go" in tool("get_scope")["result"]["content"][0]["text"], (
        "the session belongs to the transport"
    )
    assert tool("nothing")["error"]["code"] == -32602


def test_unnamed_session_is_the_transports_or_a_new_one(serving):
    async def run():
        async with serving.client("legacy") as client, serving.client("legacy") as other:
            told = await ask(client, "set_scope", languages=["go"])
            assert (await ask(client, "get_scope"))["scope"] == {"languages": ["go"]}
            assert (await ask(client, "get_scope"))["session_id"] == told["session_id"]
            assert (await ask(other, "get_scope"))["scope"] == {}
        async with serving.client("auto") as client:
            first, second = [
                (await ask(client, "set_scope", languages=["go"]))["session_id"] for _ in range(2)
            ]
            assert first != second
            assert uuid.UUID(first).version == 4
            assert (await ask(client, "get_scope", session_id=first))["scope"] == {
                "languages": ["go"]
            }

    asyncio.run(run())


def test_rest_and_mcp_share_sessions(serving):
    async def run():
        async with serving.client() as client:
            await ask(
                client, "set_scope", repos=["shop"], include_globs=["web/**"], session_id="shared"
            )
            status, headers, found = serving.ask(
                "POST", "search/text", {"pattern": "cart"}, {"X-Session-ID": "shared"}
            )
            assert (status, headers["X-Session-ID"]) == (200, "shared")
            assert {hit["path"].split("/")[0] for hit in found["results"]["hits"]} == {"web"}
            assert serving.ask("PATCH", "sessions/shared/scope", {"include_globs": None})[0] == 200
            assert (await ask(client, "get_scope", session_id="shared"))["scope"] == {
                "repos": ["shop"]
            }

    asyncio.run(run())


def test_unknown_tools_and_arguments_are_protocol_errors(serving):
    async def run():
        async with serving.client() as client:
            for tool, arguments, said in (
                ("search_txt", {}, "Did you mean 'search_text'"),
                ("search_text", {"pattern": "x", "lang": "py"}, "unknown field `lang`"),
                ("search_text", {}, "missing required field `pattern`"),
                ("search_text", {"pattern": 3}, "Expected `str`"),
                ("search_text", {"pattern": "x", "limit": 0}, "`int` >= 1"),
                ("get_scope", {"session_id": "not ok"}, "1 to 128"),
                ("get_scope", {"session_id": 5}, "1 to 128"),
            ):
                with pytest.raises(MCPError, match=re.escape(said)) as met:
                    await client.call_tool(tool, arguments)
                assert met.value.code == -32602
            for uri in ("file://shop/nope.py", "file://nowhere/a.py", "file:///a", "http://x/y"):
                with pytest.raises(MCPError):
                    await client.read_resource(uri)
            for tool, arguments, said in (
                ("set_scope", {"languages": ["pithon"]}, "Did you mean 'python'"),
                ("set_scope", {"repos": ["shup"]}, "Did you mean 'shop'"),
                ("search_text", {"pattern": "(", "regex": True}, "SearchError"),
                ("search_symbols", {"name": ""}, "Error"),
            ):
                answer = await client.call_tool(tool, arguments)
                assert answer.is_error
                assert said in answer.content[0].text

    asyncio.run(run())


def test_old_field_names_are_accepted(serving):
    async def run():
        async with serving.client() as client:
            assert (await ask(client, "set_scope", branches=["worktree"]))["scope"] == {
                "revisions": ["worktree"]
            }
            nested = await ask(
                client,
                "set_scope",
                scope={"languages": ["py"], "include_globs": ["src/**"]},
                include_globs=["web/**"],
            )
            assert nested["scope"] == {"languages": ["python"], "include_globs": ["web/**"]}
            assert (await ask(client, "search_text", pattern="cart", commit="worktree"))[
                "scope"
            ] == {"revisions": ["worktree"]}

    asyncio.run(run())
    for name, value in (("branches", ["worktree"]), ("commit", "worktree")):
        status, _, found = serving.ask("POST", "search/text", {"pattern": "cart", name: value})
        assert (status, found["results"]["scope"]) == (200, {"revisions": ["worktree"]})
        assert serving.ask("PUT", "sessions/old/scope", {name: value})[2]["scope"] == {
            "revisions": ["worktree"]
        }
    assert serving.ask("POST", "search/text", {"pattern": "cart", "brunches": []})[0] == 400


def test_schemas_describe_units_and_limits():
    for name, tool in TOOLS.items():
        for kind in (tool.arguments, tool.answer):
            schema = schema_of(kind)
            jsonschema.Draft202012Validator.check_schema(schema)
            assert schema["type"] == "object"
        arguments = schema_of(tool.arguments)
        assert arguments["additionalProperties"] is False
        assert arguments["properties"]["session_id"]["description"]
        assert len(tool.description) > 30
        for field in ("limit", "timeout_s", "start_line", "end_line", "context", "per_file"):
            if field in arguments["properties"]:
                assert arguments["properties"][field].get("description"), f"{name}.{field}"
        if "limit" in arguments["properties"]:
            assert (
                arguments["properties"]["limit"]["maximum"]
                >= arguments["properties"]["limit"]["default"]
            )
            assert f"{arguments['properties']['limit']['maximum']:,}" in tool.description


def test_call_outside_a_session_names_the_middleware(backend):
    with pytest.raises(SessionError, match="middleware"):
        asyncio.run(call(backend, TOOLS["get_scope"], TOOLS["get_scope"].arguments()))

    async def without_middleware():
        server = make_server(backend)
        server.middleware.clear()
        async with Client(server) as client:
            return await client.call_tool("get_scope", {})

    answer = asyncio.run(without_middleware())
    assert answer.is_error
    assert "middleware" in answer.content[0].text


def test_file_uris_round_trip():
    for repo, path in (("shop", "src/a b.py"), ("pkg:scikit-learn==1.7.2", "a/é#?.py")):
        assert file_of(file_uri(repo, path)) == (repo, path)
    with pytest.raises(SourceError, match="is not the URI of an indexed file"):
        file_of("file:///x")


@pytest.mark.parametrize("mode", MODES)
def test_cancelling_a_call_stops_the_search(backend, mode):
    seen = threading.Event()

    class Slow(ServiceBackend):
        async def ask(self, request, cancel=None):
            def wait():
                if cancel.wait(10):
                    seen.set()

            await asyncio.get_running_loop().run_in_executor(None, wait)
            raise AssertionError("the caller has gone")

    async def run():
        async with Client(make_server(Slow(backend._service)), mode=mode) as client:
            asking = asyncio.ensure_future(client.call_tool("search_text", {"pattern": "x"}))
            await asyncio.sleep(0.3)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            for _ in range(100):
                if seen.is_set():
                    return
                await asyncio.sleep(0.05)

    asyncio.run(run())
    assert seen.is_set()


@pytest.mark.slow
def test_two_hundred_concurrent_sessions_never_mix(serving):
    async def asked(client, tool, **arguments):
        return (await client.call_tool(tool, arguments)).structured_content

    async def session(client, number):
        name = f"many-{number}"
        await asked(
            client, "set_scope", repos=["many"], include_globs=[f"d{number}/**"], session_id=name
        )
        for count in range(20):
            found = (
                (await asked(client, "search_text", pattern="needle_", session_id=name))
                if count % 2
                else (await asked(client, "list_paths", session_id=name))
            )
            assert [hit["path"] for hit in found["hits"]] == [f"d{number}/f.py"]
            assert found["session_id"] == name

    async def run():
        async with serving.client("legacy") as one, serving.client("auto") as other:
            await asyncio.gather(
                *(session((one, other)[number % 2], number) for number in range(200))
            )

    asyncio.run(run())


def test_requests_without_a_token_or_from_another_site_are_rejected(serving):
    hello = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    accept = {"Accept": "application/json, text/event-stream"}
    for base, place, method, payload in (
        ("/", "mcp", "POST", hello),
        ("/codeintel/v1/", "search/text", "POST", {"pattern": "x"}),
        ("/codeintel/v1/", "health", "GET", None),
        ("/", "nothing", "GET", None),
    ):
        for wrong in ("", "Bearer", "Bearer wrong", f"Basic {TOKEN}"):
            status, headers, problem = serving.ask(
                method, place, payload, {"Authorization": wrong, **accept}, base
            )
            assert (status, headers["WWW-Authenticate"]) == (401, "Bearer")
            assert "Bearer TOKEN" in problem["detail"]
        assert (
            serving.ask(method, place, payload, {"Host": "evil.example", **accept}, base)[0] == 421
        )
        assert (
            serving.ask(method, place, payload, {"Origin": "http://evil.example", **accept}, base)[
                0
            ]
            == 403
        )
        assert serving.ask(method, place, payload, {"Origin": "null", **accept}, base)[0] == 403
        assert (
            serving.ask(method, place, payload, {"Origin": serving.url, **accept}, base)[0] != 403
        )


def test_assistant_obeys_the_scope_of_a_notebook(server, open_notebook):
    notebook = open_notebook("assisted.ipynb")
    settings = notebook.run("%load_ext codeintel_nb\n%scope set --include 'src/**'\n%scope mcp")
    config = json.loads(settings[settings.index("{") : settings.rindex("}") + 1])["mcpServers"][
        "codeintel"
    ]
    assert config["args"][-1] == notebook.kernel_id
    parameters = StdioServerParameters(
        command=config["command"], args=config["args"], env=dict(server.environment)
    )

    async def run():
        async with Client(parameters) as client:
            found = await ask(client, "list_paths")
            assert {hit["path"].split("/")[0] for hit in found["hits"]} == {"src"}
            assert found["session_id"] == notebook.kernel_id
            notebook.run("%scope set --include 'web/**'")
            found = await ask(client, "search_text", pattern="cart")
            assert {hit["path"].split("/")[0] for hit in found["hits"]} == {"web"}
            await ask(client, "set_scope", languages=["python"])
            assert "python" in notebook.run("%scope")
            refused = await client.call_tool("get_scope", {"session_id": "another"})
            assert refused.is_error
            assert "serves only the session" in refused.content[0].text
            server.ask("DELETE", f"kernels/{notebook.kernel_id}", api=True)
            gone = await client.call_tool("get_scope", {})
            assert gone.is_error
            assert "%scope mcp" in gone.content[0].text

    asyncio.run(run())


@pytest.mark.slow
def test_remote_kernel_is_reached_with_the_token(server, open_notebook, tmp_path):
    notebook = open_notebook("far.ipynb")
    notebook.run("%load_ext codeintel_nb\n%scope set --include 'web/**'")
    url = f"http://127.0.0.1:{server.port}{server.base_url}"
    far = {**os.environ, "JUPYTER_RUNTIME_DIR": str(tmp_path)}
    command = ["-m", "codeintel_nb.cli", "mcp", "--server", url, "--session", notebook.kernel_id]
    refused = subprocess.run([sys.executable, *command], env=far, capture_output=True, text=True)
    assert refused.returncode == 2
    assert "CODEINTEL_SERVER_TOKEN" in refused.stderr

    async def run():
        async with Client(
            StdioServerParameters(
                command=sys.executable,
                args=command,
                env={**far, "CODEINTEL_SERVER_TOKEN": live.TOKEN},
            )
        ) as client:
            found = await ask(client, "list_paths")
            assert {hit["path"].split("/")[0] for hit in found["hits"]} == {"web"}

    asyncio.run(run())


def test_scope_mcp_without_a_server_names_the_index(tmp_path, monkeypatch):
    from codeintel_nb.notebook.mcp_settings import AssistantSettings

    monkeypatch.setenv("CODEINTEL_HOME", str(tmp_path))
    settings = AssistantSettings()
    assert settings.settings["mcpServers"]["codeintel"]["args"][-2:] == ["--home", str(tmp_path)]
    assert "codeintel-nb[mcp]" in repr(settings)
    assert "<pre>" in settings._repr_mimebundle_()["text/html"]

"""Session names in a registry shared by several servers."""

from __future__ import annotations

import asyncio

import pytest

from codeintel_nb import Scope
from codeintel_nb.scopes.namespaces import ServerRegistry, of_scripts, registry_prefix, server_tag
from codeintel_nb.scopes.registry import AsyncMemoryRegistry, MemoryRegistry

MINE, OTHER = Scope(repos=("mine",)), Scope(repos=("other",))


@pytest.mark.parametrize(
    ("group", "environment", "prefix"),
    [
        ("", {}, "codeintel:"),
        ("", {"JUPYTERHUB_USER": "alice"}, "codeintel:alice/:"),
        (
            "",
            {"JUPYTERHUB_USER": "alice@example.org", "JUPYTERHUB_SERVER_NAME": "big one"},
            "codeintel:alice%40example.org/big%20one:",
        ),
        ("team", {"JUPYTERHUB_USER": "alice"}, "codeintel:@group/team:"),
        ("a:b/c", {}, "codeintel:@group/a%3Ab%2Fc:"),
    ],
)
def test_prefixes(group, environment, prefix):
    assert registry_prefix(group, environment) == prefix


def test_no_user_has_the_prefix_of_a_group():
    users = [
        registry_prefix("", {"JUPYTERHUB_USER": name, "JUPYTERHUB_SERVER_NAME": server})
        for name in ("group", "@group", "%40group")
        for server in ("team", "")
    ]
    assert registry_prefix("team") not in users
    assert len(set(users)) == len(users)


def test_tags_differ_by_user_server_and_folder():
    tags = {
        server_tag(root, base, {"JUPYTERHUB_USER": user})
        for user in ("a", "b")
        for root in ("/x", "/y")
        for base in ("/", "/a/")
    }
    assert len(tags) == 8
    assert server_tag("/x", "/", {}) == server_tag("/x", "/", {})


def test_kernel_id_is_valid_only_at_its_own_server():
    async def run():
        shared = AsyncMemoryRegistry(MemoryRegistry())
        one, two = (
            ServerRegistry(shared, tag, lambda session_id: session_id == "kernel")
            for tag in ("one", "two")
        )
        scripts = of_scripts(shared)
        await one.set("kernel", MINE)
        await two.set("kernel", OTHER)
        assert (await one.get("kernel"), await two.get("kernel")) == (MINE, OTHER)
        for attempt in ("kernel", "k-one-kernel", "k--kernel", "s-kernel"):
            assert await scripts.get(attempt) is None, attempt
            assert await one.kernels().get("elsewhere") is None
        await scripts.set("k-one-kernel", OTHER)
        assert await one.get("kernel") == MINE
        await one.set("script", MINE)
        assert await two.get("script") == MINE, (
            "scripts on servers with the same prefix share their scopes"
        )
        assert await one.snapshot() == {"kernel": MINE, "k-one-kernel": OTHER, "script": MINE}
        assert await scripts.snapshot() == {"k-one-kernel": OTHER, "script": MINE}
        assert await one.clear("kernel")
        assert (await one.get("kernel"), await two.get("kernel")) == (None, OTHER)

    asyncio.run(run())

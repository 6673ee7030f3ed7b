"""CodeIntelApp: the extension's settings, start and end."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from jupyter_server.extension.application import ExtensionApp
from tornado.ioloop import PeriodicCallback
from traitlets import Bool, Float, Int, List, Unicode, default, validate

from codeintel_nb.client.kernel import PID, URL
from codeintel_nb.errors import CodeIntelError
from codeintel_nb.operations.operations import Limits
from codeintel_nb.operations.values import JobState
from codeintel_nb.scopes.namespaces import ServerRegistry, registry_prefix, server_tag
from codeintel_nb.scopes.redis.client import SCHEMES
from codeintel_nb.scopes.registry import ScopeRegistry, open_registry
from codeintel_nb.scopes.scope import EVERYTHING, Scope, joined, left
from codeintel_nb.search.query import MAX_HITS
from codeintel_nb.server.service import SharedService
from codeintel_nb.settings import Settings
from codeintel_nb.workspace import Workspace

from .base import SETTING
from .credentials import Signatures
from .events import Events
from .kernels import ACTIONS, Kernels
from .metrics import RegistryCollector

REAP_S = 5.0


class Service(SharedService):
    """State shared by the handlers of one Jupyter server."""

    def __init__(
        self,
        workspace: Workspace,
        registry: ScopeRegistry,
        tag: str,
        root: str,
        limits: Limits,
        roots: list[str],
        threads: int,
        kernel_manager: Any,
        session_manager: Any,
        events: Events,
        watch: bool,
        log: Callable[[str, str], None],
    ) -> None:
        named = ServerRegistry(registry, tag, lambda session_id: session_id in kernel_manager)
        self.kernels = Kernels(
            named.kernels(), kernel_manager, session_manager, events.scope_changed
        )
        super().__init__(
            workspace,
            named,
            limits,
            roots,
            threads,
            watch,
            log,
            events.job_moved,
            self.kernels.is_live,
            self.project_scope,
        )
        self.signatures = Signatures(self.kernels)
        self._root = root
        self._joined: dict[str, list[str]] = {}  # kernel id -> repositories added to its scope
        self.events = events
        self.registry_counts = RegistryCollector()
        self.base_url = "/"
        # a gateway's kernels cannot sign requests, so they keep their own scopes
        self.has_remote_kernels = False
        self.public_url = os.environ.get("JUPYTERHUB_PUBLIC_URL", "")

    async def project_scope(self, session_id: str) -> Scope:
        """Return the default scope: a kernel's is its notebook's project, others' is everything."""
        folder = await self.kernels.folder(session_id)
        # clients choose a session's path: it must not leave the root
        if folder is None or ".." in folder.split("/"):
            return EVERYTHING
        place = os.path.join(self._root, *folder.split("/"))
        names = tuple(self._joined.get(session_id, ()))
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self.searching, lambda: self.workspace.project_scope(place, self._root, names)
        )

    def join(self, session_id: str, name: str) -> None:
        """Add a repository to a kernel's scope once it is indexed, unless the scope covers all."""
        if not self.kernels.is_live(session_id):
            return
        loop = asyncio.get_running_loop()

        async def widen(repositories: list[str]) -> None:
            names = self._joined.setdefault(session_id, [])
            if name not in names:
                names.append(name)
            with suppress(CodeIntelError):
                scope = await self.sessions.registry.get(session_id)
                if scope is not None:
                    await self.sessions.registry.set(session_id, joined(scope, name, repositories))
                self.events.scope_changed(session_id)

        def moved(state: JobState) -> None:
            if state.state == "done":
                repositories = list[str]()
                # before the scope is read, as it may change meanwhile; other followers come next
                with suppress(CodeIntelError, OSError):
                    repositories = [one.name for one in self.workspace.repositories()]
                loop.call_soon_threadsafe(lambda: loop.create_task(widen(repositories)))

        self.jobs.follow(name, moved)

    async def remove(self, name: str) -> None:
        """Remove a repository from the index, and from the scopes to which it was added."""
        added = {one for names in self._joined.values() for one in names}

        def remove() -> set[str]:
            present = {one: self.workspace.present_name(one) for one in added}
            removed = self.workspace.remove(name)
            return {removed, *(one for one in added if present[one] == removed)}

        names = await asyncio.get_running_loop().run_in_executor(self.searching, remove)
        sessions = [
            session_id for session_id, own in self._joined.items() if not names.isdisjoint(own)
        ]
        for session_id in sessions:  # before the first await: a kernel may end meanwhile
            self._joined[session_id] = [one for one in self._joined[session_id] if one not in names]
        for session_id in sessions:
            with suppress(CodeIntelError):
                scope = await self.sessions.registry.get(session_id)
                if scope is not None:
                    await self.sessions.registry.set(session_id, left(scope, names))
                self.events.scope_changed(session_id)

    def note_address(self, user: str, protocol: str, host: str) -> None:
        """Store the server's public address, from its owner's request through a proxy."""
        if not os.environ.get("JUPYTERHUB_PUBLIC_URL") and user == os.environ.get(
            "JUPYTERHUB_USER", user
        ):
            self.public_url = f"{protocol}://{host}{self.base_url}"

    async def tick(self) -> None:
        """Clear the scopes of dead kernels and read the registry's counts, every few seconds."""
        if self.has_remote_kernels:
            await self.kernels.ask_gateway()
        await self.kernels.reap()
        for kernel_id in [
            kernel_id for kernel_id in self._joined if not self.kernels.is_live(kernel_id)
        ]:
            del self._joined[kernel_id]
        await self.follow()
        self.registry_counts.latest = await self.sessions.registry.metrics()

    def close(self) -> None:
        self.registry_counts.unregister()
        super().close()


class CodeIntelApp(ExtensionApp):
    """Code search for every kernel of this server, each under its own scope."""

    name = "codeintel"
    load_other_extensions = True

    home = Unicode(
        "", help="Folder of the index; $CODEINTEL_HOME, else the user's data folder by default."
    ).tag(config=True)
    registry_url = Unicode(
        "memory://",
        help="Where scopes are kept: memory:// is this server's memory; "
        "redis://, rediss:// or unix:// a Redis that servers share.",
    ).tag(config=True)
    registry_prefix = Unicode(
        help="Key prefix in Redis. The default is 'codeintel:', under a hub "
        "'codeintel:USER/SERVER:', so that users do not see each other's scopes."
    ).tag(config=True)
    registry_group = Unicode(
        "",
        help="Name of a group of servers that share their scripts' scopes in Redis, across users; "
        "empty for none.",
    ).tag(config=True)
    session_max_age_s = Float(
        0.0,
        help="Seconds after which the scope of a client that is no kernel expires; "
        "$SESSION_MAX_AGE_SECONDS, else 3600 by default.",
    ).tag(config=True)
    registry_size = Int(
        10_000, min=1, help="Most sessions whose scope is kept; live kernels' are always."
    ).tag(config=True)
    prune_interval_s = Float(600.0, min=1.0, help="Seconds between sweeps of expired scopes.").tag(
        config=True
    )
    search_deadline_s = Float(
        30.0, min=0.1, help="Seconds after which a search gives what it has."
    ).tag(config=True)
    sql_deadline_s = Float(600.0, min=0.1, help="Seconds after which an SQL query is ended.").tag(
        config=True
    )
    watch = Bool(True, help="Follow changes of indexed folders and keep the index up to date.").tag(
        config=True
    )
    search_threads = Int(4, min=1, help="Searches that run at once.").tag(config=True)
    most_hits = Int(1_000_000, min=1, max=MAX_HITS, help="Maximum hits of one answer.").tag(
        config=True
    )
    most_rows = Int(100_000, min=1, help="Most rows of an answer to SQL.").tag(config=True)
    sql_memory_bytes = Int(
        1_500_000_000, min=300_000_000, help="Memory of the process that runs one SQL query."
    ).tag(config=True)
    allowed_roots = List(
        Unicode(),
        help="Folders below which clients may index, besides the server's root folder and "
        "installed packages.",
    ).tag(config=True)

    @default("registry_prefix")
    def _own_prefix(self) -> str:
        return registry_prefix(self.registry_group)

    @validate("registry_url")
    def _known_registry(self, proposal: Any) -> Any:
        url = proposal["value"]
        if url != "memory://" and url.partition("://")[0] not in SCHEMES:
            raise CodeIntelError(
                f"c.CodeIntelApp.registry_url is {url!r}; it begins with memory:// "
                f"or one of {', '.join(f'{scheme}://' for scheme in SCHEMES)}."
            )
        return url

    def initialize_settings(self) -> None:
        server = self._server()
        settings = Settings.from_environment(self.home or None)
        workspace = Workspace(settings, look_here=False, here=server.root_dir)
        registry = open_registry(
            self.registry_url,
            self.registry_size,
            self.session_max_age_s or settings.session_max_age_s,
            self.prune_interval_s,
            self.registry_prefix,
        )
        limits = Limits(
            self.search_deadline_s,
            hits=self.most_hits,
            rows=self.most_rows,
            sql_deadline_s=self.sql_deadline_s,
            sql_memory_bytes=self.sql_memory_bytes,
        )
        roots = [server.root_dir, *self.allowed_roots]
        tag = server_tag(server.root_dir, server.base_url)
        self.service = Service(
            workspace,
            registry,
            tag,
            server.root_dir,
            limits,
            roots,
            self.search_threads,
            server.kernel_manager,
            server.session_manager,
            Events(server.event_logger),
            self.watch,
            lambda name, message: self.log.warning("codeintel: %s", message),
        )
        self.service.registry_counts.register()
        self.service.base_url = server.base_url
        self.service.has_remote_kernels = bool(
            getattr(server.gateway_config, "gateway_enabled", False)
        )
        self.service.is_personal = (
            is_personal(server.ip, os.environ)
            and not server.sock
            and not server.allow_remote_access
        )
        self.settings[SETTING] = self.service
        server.event_logger.add_listener(schema_id=ACTIONS, listener=self.service.kernels.on_action)

    def initialize_handlers(self) -> None:
        from .handlers import routes

        self.handlers.extend(routes())

    async def _start_jupyter_server_extension(self, serverapp: Any) -> None:
        """Publish the server's address to its kernels, as it is final only now; start to reap."""
        variables = {
            URL: server_url(serverapp),
            PID: str(os.getpid()),
            # for kernels that continue without the server
            "CODEINTEL_HOME": str(self.service.workspace.settings.home),
            # links in results lead to files that the server shows
            "JUPYTER_SERVER_ROOT": serverapp.root_dir,
        }
        self.service.events.begin()
        self._environment_before = {name: os.environ.get(name) for name in variables}
        os.environ.update(variables)
        self.ticking = PeriodicCallback(self.service.tick, REAP_S * 1000)
        self.ticking.start()
        self.service.searching.submit(self.service.prepare)

    async def stop_extension(self) -> None:
        if hasattr(self, "ticking"):
            self.ticking.stop()
        for name, value in getattr(self, "_environment_before", {}).items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        await self.service.sessions.registry.close()
        self.service.close()

    def _server(self) -> Any:
        if self.serverapp is None:
            sys.exit("codeintel-nb is an extension: start it with jupyter server, or jupyter lab")
        return self.serverapp


def is_personal(ip: str, environment: Mapping[str, str]) -> bool:
    """Whether a server has a single user: it listens on this machine only, without a hub."""
    return ip in ("localhost", "127.0.0.1", "::1") and "JUPYTERHUB_USER" not in environment


def server_url(serverapp: Any) -> str:
    """Return the server's address for its kernels: loop-back if it listens on all.

    ``_get_urlparts`` is private to Jupyter, so a test of ours covers it.
    """
    from jupyter_server.serverapp import WILDCARD_IPS

    ip = "127.0.0.1" if not serverapp.ip or serverapp.ip in WILDCARD_IPS else serverapp.ip
    return str(serverapp._get_urlparts(path=serverapp.base_url, ip=ip).geturl())

"""CodeIntelApp: the extension's settings, start and end."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

import msgspec
from jupyter_server.extension.application import ExtensionApp
from tornado.ioloop import PeriodicCallback
from traitlets import Bool, Float, Int, List, Unicode, default, observe, validate

from codeintel_nb.client.kernel import PID, URL
from codeintel_nb.engines.choice import has_processes, server_engine
from codeintel_nb.errors import CodeIntelError
from codeintel_nb.operations.limits import Limits
from codeintel_nb.scopes.namespaces import registry_prefix, server_tag
from codeintel_nb.scopes.redis.client import SCHEMES
from codeintel_nb.scopes.registries import open_registry
from codeintel_nb.search.query import MAX_HITS
from codeintel_nb.settings import Settings, SharedPlaces
from codeintel_nb.workspace import Workspace

from .base import SETTING
from .events import Events
from .kernels import ACTIONS
from .service import Service

REAP_S = 5.0


class CodeIntelApp(ExtensionApp):
    """Code search for this server's kernels, each with its scope."""

    name = "codeintel"
    load_other_extensions = True

    home = Unicode(
        "", help="Folder of the index; by default $CODEINTEL_HOME, else the user's data folder."
    ).tag(config=True)
    shared_homes = List(
        Unicode(),
        help="Index homes of other owners, searched besides the own one, and only read: "
        "folders, or buckets such as s3://BUCKET/FOLDER; "
        "by default those in $CODEINTEL_SHARED.",
    ).tag(config=True)
    engine = Unicode(
        "",
        help="Where searches run: local, or on a cluster: dask://HOST:8786, ray://HOST:6379, or "
        "dask://local for one of this machine; by default $CODEINTEL_ENGINE.",
    ).tag(config=True)
    registry_url = Unicode(
        "memory://",
        help="Where scopes are stored: memory:// in this server's memory; "
        "redis://, rediss:// or unix:// in a Redis shared by servers.",
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
        help="Seconds after which the scope of a client other than a kernel expires; "
        "by default $SESSION_MAX_AGE_SECONDS, else 3600.",
    ).tag(config=True)
    registry_size = Int(
        10_000, min=1, help="Maximum sessions with a stored scope; live kernels always keep theirs."
    ).tag(config=True)
    prune_interval_s = Float(
        600.0, min=1.0, help="Seconds between removals of expired scopes."
    ).tag(config=True)
    search_timeout_s = Float(
        30.0, min=0.1, help="Seconds after which a search stops and returns what was found."
    ).tag(config=True)
    search_deadline_s = Float(30.0, min=0.1, help="Former name of search_timeout_s.").tag(
        config=True
    )
    sql_timeout_s = Float(600.0, min=0.1, help="Seconds after which an SQL query is stopped.").tag(
        config=True
    )
    sql_deadline_s = Float(600.0, min=0.1, help="Former name of sql_timeout_s.").tag(config=True)
    watch = Bool(True, help="Watch indexed folders and keep the index up to date.").tag(config=True)
    search_threads = Int(4, min=1, help="Maximum searches that run at once.").tag(config=True)
    most_hits = Int(1_000_000, min=1, max=MAX_HITS, help="Maximum hits of one answer.").tag(
        config=True
    )
    most_rows = Int(100_000, min=1, help="Maximum rows of an answer to SQL.").tag(config=True)
    sql_memory_bytes = Int(
        1_500_000_000,
        min=300_000_000,
        help="Maximum memory, in bytes, of the process of an SQL query.",
    ).tag(config=True)
    allowed_roots = List(
        Unicode(),
        help="Folders that clients may index, besides the server's root folder and "
        "installed packages.",
    ).tag(config=True)

    @observe("search_deadline_s", "sql_deadline_s")
    def _on_former_name(self, change: Any) -> None:
        setattr(self, change["name"].replace("deadline", "timeout"), change["new"])

    @default("registry_prefix")
    def _own_prefix(self) -> str:
        return registry_prefix(self.registry_group)

    @validate("registry_url")
    def _known_registry(self, proposal: Any) -> Any:
        url = proposal["value"]
        if url != "memory://" and url.partition("://")[0] not in SCHEMES:
            raise CodeIntelError(
                f"c.CodeIntelApp.registry_url is {url!r}; it must begin with memory:// "
                f"or one of {', '.join(f'{scheme}://' for scheme in SCHEMES)}."
            )
        return url

    def initialize_settings(self) -> None:
        server = self._server()
        settings = Settings.from_environment(self.home or None)
        if self.engine:
            settings = msgspec.structs.replace(settings, engine=self.engine)
        if self.shared_homes:
            shared = SharedPlaces.listed(self.shared_homes)
            settings = msgspec.structs.replace(
                settings, shared_homes=shared.folders, buckets=shared.buckets
            )
        engine = server_engine(settings)
        workspace = Workspace(settings, look_here=False, here=server.root_dir, engine=engine)
        registry = open_registry(
            self.registry_url,
            self.registry_size,
            self.session_max_age_s or settings.session_max_age_s,
            self.prune_interval_s,
            self.registry_prefix,
        )
        limits = Limits(
            self.search_timeout_s,
            hits=self.most_hits,
            rows=self.most_rows,
            sql_timeout_s=self.sql_timeout_s,
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
        self.service.calls.has_processes = has_processes(settings)
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
        """Publish the server's address, final only now; start to reap."""
        settings = self.service.workspace.settings
        variables = {
            URL: server_url(serverapp),
            PID: str(os.getpid()),
            # for kernels that continue without the server
            "CODEINTEL_HOME": str(settings.home),
            # links in results lead to files that the server shows
            "JUPYTER_SERVER_ROOT": serverapp.root_dir,
        }
        variables.update(settings.shared_variables())
        self.service.events.begin()
        self._environment_before = {name: os.environ.get(name) for name in variables}
        os.environ.update(variables)
        self.ticking = PeriodicCallback(self.service.tick, REAP_S * 1000)
        self.ticking.start()
        self.service.calls.searching.submit(self.service.prepare)

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
            sys.exit("codeintel-nb is a server extension. Run: jupyter server, or jupyter lab")
        return self.serverapp


def is_personal(ip: str, environment: Mapping[str, str]) -> bool:
    """Whether a server is single-user: local and without a hub."""
    return ip in ("localhost", "127.0.0.1", "::1") and "JUPYTERHUB_USER" not in environment


def server_url(serverapp: Any) -> str:
    """Return the server's address for its kernels, loop-back for wildcards.

    ``_get_urlparts`` is private to Jupyter, so a test of ours covers it.
    """
    from jupyter_server.serverapp import WILDCARD_IPS

    ip = "127.0.0.1" if not serverapp.ip or serverapp.ip in WILDCARD_IPS else serverapp.ip
    return str(serverapp._get_urlparts(path=serverapp.base_url, ip=ip).geturl())

"""Git's configuration, read without git: ``core.excludesFile`` and ``core.ignorecase``.

References
----------
git-config(1): "CONFIGURATION FILE", "Includes", "Conditional includes", "FILES", "ENVIRONMENT".
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Iterator, Mapping
from functools import cached_property, lru_cache
from typing import NamedTuple

from ...scopes.wildmatch import Unreadable, lower, name_atoms
from ..opening import ABSENT, read_rules, stamp_of

MAX_DEPTH = 10  # of nested includes
_SECTION = re.compile(r'\[\s*([A-Za-z0-9.-]+)(?:[ \t]+"((?:[^"\\\n]|\\.)*)")?\s*\]')
_KEY = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
_ESCAPES = {"n": "\n", "t": "\t", "b": "\b", "\\": "\\", '"': '"'}


class Setting(NamedTuple):
    """A variable of a configuration file."""

    key: str  # such as core.excludesfile; subsections keep their case
    value: str | None  # None: the key alone, meaning true


class GitConfig:
    """The configuration inside a repository, or outside of any."""

    def __init__(
        self, folder: str = "", common: str = "", environment: Mapping[str, str] = os.environ
    ) -> None:
        """Take a worktree's ``.git`` folder, and ``common``, its repository's."""
        self._folder, self._common, self._environment = folder, common, environment
        # files looked up, existing or not, with their stamps from before reading
        self.files: dict[str, tuple[int, ...]] = {}

    @property
    def ignores_case(self) -> bool:
        return _is_true(self._last("core.ignorecase"))

    def excludes_file(self, top: str) -> str:
        """Return the path of ``core.excludesFile``, or its default."""
        setting = self._last("core.excludesfile")
        if setting is None or not setting.value:
            config = self._environment.get("XDG_CONFIG_HOME") or self._expanded("~/.config")
            return os.path.join(config, "git", "ignore") if setting is None else ""
        return os.path.join(top, self._expanded(setting.value.removeprefix(":(optional)")))

    def _last(self, key: str) -> Setting | None:
        return self._settings.get(key)

    @cached_property
    def _settings(self) -> dict[str, Setting]:
        """Map each key to its last setting."""
        return {setting.key: setting for setting in self._all()}

    @cached_property
    def _remotes(self) -> list[str]:
        """List the URLs of all remotes, for ``hasconfig:remote.*.url``."""
        plain = GitConfig(self._folder, self._common, self._environment)
        plain.__dict__["_remotes"] = []
        return [
            setting.value or ""
            for setting in plain._all()
            if re.fullmatch(r"remote\..*\.url", setting.key, re.S)
        ]

    def _all(self) -> Iterator[Setting]:
        for file in self._sources():
            yield from self._of_file(file, 0)
        yield from self._of_environment()

    def _sources(self) -> Iterator[str]:
        environment = self._environment
        if not _is_true(Setting("", environment.get("GIT_CONFIG_NOSYSTEM", "0"))):
            yield from (
                [environment["GIT_CONFIG_SYSTEM"]]
                if "GIT_CONFIG_SYSTEM" in environment
                else _system_files(environment)
            )
        if "GIT_CONFIG_GLOBAL" in environment:
            yield environment["GIT_CONFIG_GLOBAL"]
        else:
            yield os.path.join(
                environment.get("XDG_CONFIG_HOME") or self._expanded("~/.config"), "git", "config"
            )
            yield self._expanded("~/.gitconfig")
        if self._common:
            local = os.path.join(self._common, "config")
            yield local
            extensions = [
                setting
                for setting in self._of_file(local, 0)
                if setting.key == "extensions.worktreeconfig"
            ]
            if extensions and _is_true(extensions[-1]):
                yield os.path.join(self._folder, "config.worktree")

    def _of_environment(self) -> Iterator[Setting]:
        environment = self._environment
        count = environment.get("GIT_CONFIG_COUNT", "")
        for number in range(min(int(count), 10_000) if count.isdecimal() else 0):
            if key := environment.get(f"GIT_CONFIG_KEY_{number}"):
                yield Setting(_canonical(key), environment.get(f"GIT_CONFIG_VALUE_{number}", ""))
        try:
            pairs = shlex.split(environment.get("GIT_CONFIG_PARAMETERS", ""))
        except ValueError:
            pairs = []
        for pair in pairs:
            key, equals, value = pair.partition("=")
            yield Setting(_canonical(key), value if equals else None)

    def _of_file(self, file: str, depth: int) -> Iterator[Setting]:
        """Yield settings of a file and its includes in order."""
        if depth > MAX_DEPTH or not file:
            return
        self.files.setdefault(file, stamp_of(file))
        try:
            text = read_rules(file, follow=True).decode("utf-8", "surrogateescape")
        except ABSENT:
            return
        for setting in parse(text):
            yield setting
            if setting.value and (
                setting.key == "include.path" or self._includes(setting.key, file)
            ):
                path = self._expanded(setting.value.removeprefix(":(optional)"))
                yield from self._of_file(os.path.join(os.path.dirname(file), path), depth + 1)

    def _includes(self, key: str, file: str) -> bool:
        """Whether a key is an ``includeif`` with a true condition."""
        if not (key.startswith("includeif.") and key.endswith(".path")):
            return False
        kind, _, pattern = key[len("includeif.") : -len(".path")].partition(":")
        if kind in ("gitdir", "gitdir/i"):
            return bool(self._folder) and self._lies_in(pattern, file, kind == "gitdir/i")
        if kind == "onbranch":
            branch = self._branch()
            return bool(branch) and _matches(
                pattern + "**" if pattern.endswith("/") else pattern, branch
            )
        if kind == "hasconfig" and pattern.startswith("remote.*.url:"):
            return any(
                _matches(pattern.removeprefix("remote.*.url:"), url) for url in self._remotes
            )
        return False

    def _lies_in(self, pattern: str, file: str, fold: bool) -> bool:
        pattern = self._expanded(pattern)
        prefix = ""
        if pattern.startswith("./"):
            prefix = os.path.dirname(os.path.realpath(file)).replace(os.sep, "/") + "/"
            pattern = pattern[2:]
        elif not os.path.isabs(pattern):
            pattern = "**/" + pattern
        pattern += "**" if pattern.endswith("/") else ""
        for folder in dict.fromkeys(
            (os.path.realpath(self._folder), os.path.abspath(self._folder))
        ):
            place = folder.replace(os.sep, "/")
            begins = lower(place).startswith(lower(prefix)) if fold else place.startswith(prefix)
            if begins and _matches(pattern, place[len(prefix) :], fold):
                return True
        return False

    def _branch(self) -> str:
        head = os.path.join(self._folder, "HEAD")
        self.files.setdefault(head, stamp_of(head))
        try:
            text = read_rules(head).decode("utf-8", "replace").strip() if self._folder else ""
        except ABSENT:
            return ""
        if not text.startswith("ref:"):
            return ""
        return text.removeprefix("ref:").strip().removeprefix("refs/heads/")

    def _expanded(self, path: str) -> str:
        """Expand a leading ``~``, ``~user`` or ``%(prefix)``, if possible."""
        if path.startswith("%(prefix)/"):
            return os.path.join(
                _prefix(self._environment.get("PATH", os.defpath)), path.removeprefix("%(prefix)/")
            )
        if path == "~" or path.startswith("~/"):
            home = self._environment.get("HOME") or (
                os.path.expanduser("~") if self._environment is os.environ else ""
            )
            return os.path.join(home, path[2:]) if home and home != "~" else path
        return os.path.expanduser(path)


def parse(text: str) -> Iterator[Setting]:
    """Yield a text's settings up to the first syntax error."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    at, section = 0, ""
    while at < len(text):
        if text[at].isspace():
            at += 1
        elif text[at] in "#;":
            end = text.find("\n", at)
            at = len(text) if end < 0 else end
        elif text[at] == "[":
            header = _SECTION.match(text, at)
            if header is None:
                return
            section = _joined(header[1].lower(), header[2])
            at = header.end()
        else:
            name = _KEY.match(text, at)
            if name is None:
                return
            value, at = _value(text, name.end())
            if at < 0:
                return
            yield Setting(f"{section}.{name[0].lower()}".removeprefix("."), value)


def _joined(section: str, inner: str | None) -> str:
    return section if inner is None else section + "." + re.sub(r"\\(.)", r"\1", inner)


def _value(text: str, at: int) -> tuple[str | None, int]:
    """Return a key's value and end; -1 for invalid syntax."""
    while at < len(text) and text[at] in " \t":
        at += 1
    if at == len(text) or text[at] == "\n":
        return None, at
    if text[at] in "#;":
        end = text.find("\n", at)
        return None, len(text) if end < 0 else end
    if text[at] != "=":
        return None, -1
    at += 1
    out: list[str] = []
    blanks = ""  # part of the value only if more text follows
    quoted = False
    while at < len(text) and (text[at] != "\n"):
        character = text[at]
        at += 1
        if not quoted and character in "#;":
            end = text.find("\n", at)
            return "".join(out), len(text) if end < 0 else end
        if not quoted and character in " \t\r\n":
            blanks += character if any(out) else ""
            continue
        out.append(blanks)
        blanks = ""
        if character == '"':
            quoted = not quoted
        elif character == "\\":
            follows = text[at : at + 1]
            at += 1
            if follows == "\n":
                continue
            if follows not in _ESCAPES or not follows:
                return None, -1
            out.append(_ESCAPES[follows])
        else:
            out.append(character)
    return (None, -1) if quoted else ("".join(out), at)


def _canonical(key: str) -> str:
    section, dot, rest = key.partition(".")
    inner, _, name = rest.rpartition(".")
    return f"{section.lower()}{dot}{f'{inner}.' if inner else ''}{name.lower()}"


def _is_true(setting: Setting | None) -> bool:
    if setting is None:
        return False
    if setting.value is None:
        return True
    value = setting.value.strip().lower()
    is_number = re.fullmatch(r"[+-]?\d+[kmg]?", value) is not None
    return value in ("true", "yes", "on") or (
        is_number and re.sub(r"\D", "", value).strip("0") != ""
    )


def _matches(pattern: str, text: str, fold: bool = False) -> bool:
    import re2

    try:
        expression = "".join(name_atoms(pattern, fold))
    except Unreadable:
        return False
    return re2.fullmatch(f"(?s:{expression})", lower(text) if fold else text) is not None


@lru_cache(8)
def _prefix(path: str) -> str:
    """Return git's installation prefix, from its program on the search path."""
    program = shutil.which("git", path=path)
    return os.path.dirname(os.path.dirname(os.path.realpath(program))) if program else "/usr"


def _system_files(environment: Mapping[str, str]) -> list[str]:
    prefix = _prefix(environment.get("PATH", os.defpath))
    if os.name == "nt":
        return [os.path.join(prefix, "etc", "gitconfig")]
    return [
        "/etc/gitconfig",
        *([os.path.join(prefix, "etc", "gitconfig")] if prefix not in ("/usr", "/") else []),
    ]

"""Interpreters in ``#!`` lines, even behind runners, and editor modelines."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

# runners, and the interpreter that each starts by default
_RUNNERS = {
    "uv": "python", "uvx": "python", "pipx": "python", "poetry": "python", "pipenv": "python",
    "hatch": "python", "pdm": "python", "rye": "python", "pixi": "python", "conda": "python",
    "mamba": "python", "micromamba": "python", "npx": "javascript", "npm": "javascript",
    "pnpm": "javascript", "pnpx": "javascript", "bunx": "javascript", "yarn": "javascript",
    "bundle": "ruby", "dotnet": "dotnet-script", "nix-shell": "", "nix": "", "devbox": "",
    "with-contenv": "", "s6-setuidgid": "", "busybox": "", "toybox": "", "sudo": "", "doas": "",
    "nice": "", "ionice": "", "stdbuf": "", "time": "", "nohup": "", "setsid": "", "xvfb-run": "",
    "dumb-init": "", "tini": "", "chronic": "", "exec": "", "command": "", "arch": "", "env": "",
    "unbuffer": "", "mise": "", "asdf": "", "direnv": "", "docker": "", "podman": "", "srun": "",
    "mpirun": "", "mpiexec": "", "go": "gorun", "nvim": "luajit", "flatpak": "",
}  # fmt: skip
_INTERPRETER_OF = {"javascript": "node"}
# options of runners that take a value
_WITH_VALUE = frozenset(
    "-u -n -p -C -P -g -e --unset --chdir --name --prefix --group --only-group --extra --with"
    " --with-editable --with-requirements --python --project --directory --from --index-url"
    " --index --spec --package --manifest-path --environment --cwd --env-file --config-file"
    " --cache-dir --user --pip-args --refresh-package --upgrade-package --channel --feature"
    " --fetch-keys".split()
)
_TOKEN = re.compile(r"\"([^\"]*)\"|'([^']*)'|(\S+)")
_VERSION = re.compile(r"(?<=[A-Za-z])[-._]?\d[\w.]*$|-dbg$")
_NIX = re.compile(rb"(?m)^(?:#!|//|--|#)[ \t]*!?[ \t]*nix-shell\b(.*)$|^#![ \t]*nix\b(.*)$")
_EXEC = re.compile(rb"(?m)^[ \t]*[\"':]*[ \t]*[\"']*exec[\"']*[ \t]+(.*\$\{?0.*)$")
_EMACS = re.compile(rb"-\*-[ \t]*(?:.*?\bmode[ \t]*:[ \t]*)?([\w+#-]+)[ \t]*(?:;.*)?-\*-", re.I)
_VIM = re.compile(rb"(?:^|[ \t])(?:vi|vim|ex)\d*:.*?\b(?:ft|filetype|syntax)=([\w+#-]+)")
_MODES = {"shell-script": "bash", "cperl": "perl", "js2": "javascript", "js-mode": "javascript"}


def interpreter_words(content: bytes) -> Iterator[str]:
    """Yield candidate names of a script's interpreter, the most likely first."""
    first, _, rest = content[:4096].partition(b"\n")
    if not first.startswith(b"#!"):
        return
    words = _words(first[2:])
    name = _base(words[0]) if words else ""
    if name == "env" and len(words) > 1:
        words = _env_command(words[1:])
        name = _base(words[0]) if words else ""
    if name in ("nix-shell", "nix"):
        for match in _NIX.finditer(first + b"\n" + rest):
            words += _words(match[1] or match[2])
        yield from _nix_command(words)
        return
    if name in ("sh", "bash", "dash", "ksh"):
        # polyglots (''':' and the like): the shell execs another interpreter at once
        for match in _EXEC.finditer(rest[:1024]):
            yield from (word for word in _named(_words(match[1])) if word not in ("sh", "bash"))
    yield from _named(words)


def _words(line: bytes) -> list[str]:
    text = line.decode("utf-8", "replace").strip()
    return [one or two or three for one, two, three in _TOKEN.findall(text)]


def _base(word: str) -> str:
    """Return a command's base name, without quotes or ``.exe``."""
    return re.split(r"[/\\]", word.strip("'\""))[-1].removesuffix(".exe")


def _env_command(words: Sequence[str]) -> list[str]:
    """Return the command after env's options and assignments."""
    rest = list(words)
    while rest:
        word = rest[0]
        if word.startswith(("-S", "--split-string")) and len(word) > 2:
            inline = word.removeprefix("--split-string").removeprefix("-S").lstrip("=")
            rest[:1] = inline.split() if inline else []
        elif word in ("-u", "--unset", "-C", "--chdir", "-P"):
            del rest[:2]
        elif word.startswith("-") or re.match(r"\w+=", word):
            if word.startswith("-") and "S" in word and not word.startswith("--"):  # -vS, -iS
                rest[:1] = [word.partition("S")[2]] if word.partition("S")[2] else []
            else:
                del rest[:1]
        else:
            break
    return rest


def _named(words: Sequence[str]) -> Iterator[str]:
    """Yield a command's interpreter, even behind runners, also without version."""
    at, default = 0, ""
    while at < len(words):
        word = words[at]
        at += 1
        if word.startswith("-") or "=" in word:
            at += word in _WITH_VALUE
            continue
        name = _base(word)
        yield name
        if (bare := _VERSION.sub("", name)) != name:
            yield bare
        if bare in _RUNNERS:
            default = default or _RUNNERS[bare]
        elif at == 1:
            break  # the rest are the interpreter's own arguments
    if default:
        yield _INTERPRETER_OF.get(default, default)


def _nix_command(words: Sequence[str]) -> Iterator[str]:
    """Yield the interpreter in ``nix-shell -i`` or ``nix shell --command``."""
    for option, value in pairwise(words):
        if option in ("-i", "--command", "-c", "--run"):
            yield from _named([value.split()[0] if value.split() else value])


def modeline(content: bytes) -> str:
    """Return the mode in an Emacs or Vim modeline."""
    lines = content.split(b"\n")
    for line in lines[:2]:
        if match := _EMACS.search(line[:300]):
            return _mode(match[1])
    for line in (*lines[:5], *lines[-6:]):
        if b"=" in line and (match := _VIM.search(line[:300])):
            return _mode(match[1])
    return ""


def _mode(name: bytes) -> str:
    mode = name.decode("utf-8", "replace").lower()
    return _MODES.get(mode, mode.removesuffix("-mode"))

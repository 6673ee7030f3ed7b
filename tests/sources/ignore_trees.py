"""Random folders with ignore files, plausible and broken, generated from a seed."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from pathlib import Path

STEMS = [
    "a",
    "b",
    "ab",
    "A",
    "B1",
    "build",
    "Build",
    "keep",
    "x y",
    "é",
    "k",
    "1st",
    "data",
    "_b",
    "-c",
    "a[b]",
    "foo",
    "foobar",
    "#h",
    "!n",
]
ENDINGS = ["", "", ".py", ".log", ".LOG", ".txt", ".md", ".py~", "1", ".c.o"]
SETS = [
    "[ab]", "[!a]", "[^b]", "[a-c]", "[z-a]", "[[:digit:]]", "[[:upper:]]", "[^[:alpha:]]",
    "[[:space:]]", "[[:nope:]]", "[]a]", "[a-]", "[\\]b]", "[a/b]", "[", "[!]b]", "[A-Z]", "[B]",
    "[[:punct:][:digit:]]", "[a", "[-_]", "[+--]", "[[:alnum:]-]", "[[a]", "[[:alpha]", "[é]",
]  # fmt: skip


def name(rng: random.Random) -> str:
    return rng.choice(STEMS) + rng.choice(ENDINGS)


def glob_name(rng: random.Random) -> str:
    kind = rng.random()
    if kind < 0.35:
        return name(rng)
    if kind < 0.45:
        return "*" + rng.choice(ENDINGS)
    if kind < 0.55:
        return rng.choice(STEMS) + "*"
    if kind < 0.65:
        return "**"
    if kind < 0.72:
        return rng.choice(["*", "**a", "a**", "*a*", "?", "??", "*?", "***", "b**.py"])
    if kind < 0.9:
        text = name(rng)
        at = rng.randrange(len(text) + 1)
        return text[:at] + rng.choice([*SETS, "?", "*"]) + text[at + rng.randrange(2) :]
    return rng.choice(["\\", "x\\", "\\#h", "\\!n", "a\\[b\\]", "foo\\ ", "a\\b", "x\\ y"])


def blurred(rng: random.Random, text: str) -> str:
    """Return a text with some characters replaced by a wildcard, as a pattern."""
    at = rng.randrange(len(text))
    behind = at + rng.choice([1, 1, 1, 2, len(text)])
    met = text[at]
    exact = [
        "?",
        "*",
        "**",
        f"[{met}]",
        f"[!{met}]",
        f"[^x{met}]",
        f"[a-z{met}]",
        f"\\{met}",
        f"[\\{met}]",
        f"[]{met}]",
        "[[:alpha:][:space:]]",
        "[[:upper:]]",
        "[[:punct:]]",
        "[^[:digit:]]",
    ]
    return text[:at] + rng.choice([*exact, *SETS]) + text[behind:]


def aimed(rng: random.Random, paths: list[str]) -> str:
    """Return a pattern derived from the path of a file or folder."""
    parts = rng.choice(paths).split("/")
    parts = parts[: rng.randrange(1, len(parts) + 1)]
    parts = parts[rng.randrange(len(parts)) :] if rng.random() < 0.5 else parts
    for i in range(len(parts)):
        if rng.random() < 0.45:
            parts[i] = (
                blurred(rng, parts[i])
                if rng.random() < 0.7
                else rng.choice(["*", "**", "?*", glob_name(rng)])
            )
    text = "/".join(parts)
    return text.swapcase() if rng.random() < 0.1 else text


def line(rng: random.Random, paths: list[str]) -> bytes:
    if rng.random() < 0.05:
        return rng.choice(
            [
                b"",
                b"#comment",
                b"!",
                b"/",
                b"//",
                b"\\",
                b" ",
                b"\t",
                b"!/",
                b"*/",
                b"**/",
                b"!*/",
                b"**",
                b"/*",
                b"!**",
                b"\r",
                b"a\0b",
                b"\xe9*",
                b"\xef\xbb\xbfa",
            ]
        )
    if paths and rng.random() < 0.75:
        text = aimed(rng, paths)
    else:
        text = "/".join(glob_name(rng) for _ in range(rng.choice([1, 1, 1, 2, 2, 3])))
    text = (
        rng.choice(["", "", "", "/", "**/"])
        + text
        + rng.choice(["", "", "", "", "/", "/**", "/*", " ", "  ", "\\ ", "\t"])
    )
    text = rng.choice(["", "", "!"]) + text
    return text.encode() + rng.choice([b"", b"", b"", b"", b"\r", b"\r\r"])


def rules(rng: random.Random, paths: list[str]) -> bytes:
    lines = [line(rng, paths) for _ in range(rng.choice([1, 2, 3, 5, 8]))]
    if rng.random() < 0.12:
        lines.insert(0, rng.choice([b"*", b"/*", b"**", b"*.*"]))
        lines.insert(1, rng.choice([b"!*/", b"!*.py", b"!keep", b"!/data/", b"!.gitignore"]))
    return (
        (b"\xef\xbb\xbf" if rng.random() < 0.08 else b"")
        + b"\n".join(lines)
        + rng.choice([b"", b"\n"])
    )


def plain_line(rng: random.Random, paths: list[str]) -> bytes:
    """Return a line that git and ripgrep interpret alike.

    It has no set, no backslash and no trailing blank, and is ASCII.
    """
    plain = [path for path in paths if re.fullmatch(r"[\w./-]+", path, re.A)]
    parts = rng.choice(plain or ["a"]).split("/")
    parts = parts[: rng.randrange(1, len(parts) + 1)]
    parts = parts[rng.randrange(len(parts)) :] if rng.random() < 0.5 else parts
    for i, part in enumerate(parts):
        if rng.random() < 0.4:
            stem, dot, ending = part.partition(".")
            parts[i] = rng.choice(
                [
                    "*",
                    "**",
                    f"*{dot}{ending}",
                    f"{stem}*",
                    f"{part[:1]}*",
                    f"*{part[-1:]}",
                    f"?{part[1:]}" if len(part) > 1 else "?",
                ]
            )
    text = (
        rng.choice(["", "", "", "/", "**/"])
        + "/".join(parts)
        + rng.choice(["", "", "", "", "/", "/**", "/*"])
    )
    return (rng.choice(["", "", "!"]) + text).encode()


def plain_rules(rng: random.Random, paths: list[str]) -> bytes:
    lines = [plain_line(rng, paths) for _ in range(rng.choice([1, 2, 3, 5]))]
    if rng.random() < 0.15:
        lines[:0] = [rng.choice([b"*", b"/*", b"**"]), rng.choice([b"!*/", b"!*.py", b"!keep"])]
    return b"\n".join(lines) + b"\n"


def make_tree(
    root: Path,
    rng: random.Random,
    ignore_files: tuple[str, ...] = (".gitignore",),
    rules: Callable[[random.Random, list[str]], bytes] = rules,
) -> list[Path]:
    """Fill a folder; return the folders in it, none of them empty."""
    folders = [root]
    for _ in range(rng.randrange(2, 9)):
        folder = rng.choice(folders) / name(rng)
        if not folder.exists():
            folder.mkdir(parents=True)
            folders.append(folder)
    for folder in folders:
        for _ in range(rng.randrange(1, 6)):
            file = folder / name(rng)
            if not file.exists():
                file.write_bytes(b"")
    for file in ignore_files:
        for folder in dict.fromkeys([root, rng.choice(folders), rng.choice(folders)]):
            if rng.random() < 0.7:
                (folder / file).write_bytes(rules(rng, paths_below(folder)))
    return folders


def paths_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def make_repository(folder: Path, config: str = "", exclude: bytes = b"") -> None:
    """Write the files that make a folder a git repository."""
    for part in (".git/objects", ".git/refs", ".git/info"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    (folder / ".git/HEAD").write_text("ref: refs/heads/main\n")
    (folder / ".git/config").write_text("[core]\n\trepositoryformatversion = 0\n" + config)
    (folder / ".git/info/exclude").write_bytes(exclude)


def make_linked_worktree(folder: Path, repository: Path, number: int) -> None:
    """Make a folder a linked worktree of a repository, as ``git worktree add`` does."""
    place = repository / ".git/worktrees" / str(number)
    place.mkdir(parents=True)
    (place / "HEAD").write_text("ref: refs/heads/side\n")
    (place / "commondir").write_text("../..\n")
    (place / "gitdir").write_text(f"{folder}/.git\n")
    (folder / ".git").write_text(f"gitdir: {place}\n")

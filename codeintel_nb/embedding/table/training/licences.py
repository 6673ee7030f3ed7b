"""Permission to mine an archive's files, decided file by file.

The package's declaration alone is never enough. A file is permissive when every statement covering
it is: its own header, the licence texts of its folders, its stanza of a machine-readable
``debian/copyright``, and, last, the package's declaration.
"""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Callable, Iterable
from email import message_from_string

Read = Callable[[], bytes]

PERMISSIVE = re.compile(
    r"^(mit([-/ ].*)?|expat.*|x11.*|.*bsd.*|"
    r"apache([- ]?(license|software).*)?([- ,]*(version )?2.*)?|apache|"
    r"isc.*|zlib.*|boost.*|bsl.*|psf.*|python.*|unlicense|cc0.*|public[- ]domain.*|ncsa|"
    r"postgresql|hpnd.*|curl|0bsd|blueoak.*|unicode.*|ruby|"
    r"go|libpng|openssl|permissive|bzip2.*|sqlite|fsful.*|wtfpl)$",
    re.I,
)
COPYLEFT = re.compile(
    r"\b(A|L)?GPL(v?[23]|-[23]|\b)|GNU (Affero |Lesser |Library )?General Public Licen[sc]e|"
    r"GNU (Lesser|Library)|Mozilla Public Licen[sc]e|\bMPL[- ]?[12]|Eclipse Public Licen[sc]e|"
    r"\bEPL[- ]?[12]|\bCDDL\b|Common Development and Distribution|European Union Public|\bEUPL\b|"
    r"CeCILL|Creative Commons Attribution-(Share|Non)|\bCC[- ]BY[- ](SA|NC|ND)|Server Side Public|"
    r"Business Source Licen|Elastic License|proprietary and confidential|"
    r"All rights reserved\.? *Unauthori[sz]ed|Commons Clause|Artistic Licen[sc]e",
    re.I,
)
GRANT = re.compile(
    r"Permission is hereby granted|Redistribution and use in source and binary forms|"
    r"Apache License|Permission to use, copy, modify|\bMIT\b|\bBSD\b|"
    r"public domain|Boost Software License|\bISC\b|CC0",
    re.I,
)
SPDX = re.compile(r"SPDX-License-Identifier:\s*([^\n*]+)")
LICENCE_FILE = re.compile(r"(^|/)(LICEN[CS]E|COPYING|COPYRIGHT|UNLICENSE)([.-][\w.-]+)?$", re.I)


def expression_is_permissive(expression: str) -> bool:
    """Whether an SPDX-like expression offers a permissive licence.

    Examples: ``MIT``, ``Apache-2.0 OR GPL-2.0``, ``(BSD-3-Clause AND MIT)``.
    """
    plain = expression.replace("(", " ").replace(")", " ").strip()
    sides = re.split(r"\s+or\s+|\s*\|\|?\s*|(?<=\w)/(?=[A-Z])", plain, flags=re.I)
    return any(
        all(
            PERMISSIVE.match(part.strip().strip('"')) is not None
            for part in re.split(r"\s+and\s+|,\s*|\s+with\s+[\w-]+|\s*&\s*", side, flags=re.I)
            if part.strip()
        )
        for side in sides
        if side.strip()
    )


def text_is_permissive(text: str) -> bool:
    """Whether a licence's text or a file's header is permissive.

    A text with copyleft words is not, unless it offers a permissive grant as a choice.
    """
    if spdx := SPDX.search(text):
        return expression_is_permissive(spdx[1].strip().rstrip("-/#> ").strip())
    if not COPYLEFT.search(text):
        return True
    return (
        GRANT.search(text) is not None
        and re.search(r"\b(either|dual|at your option|alternatively|any of)\b", text, re.I)
        is not None
    )


class Licences:
    """Licence statements of an archive about its files.

    ``members`` are (path, reader) pairs of files with possible statements. ``copyright_file`` is
    the text of a ``debian/copyright`` outside the archive.
    """

    def __init__(self, members: Iterable[tuple[str, Read]], copyright_file: str = "") -> None:
        self.declared = ""
        self.folders: dict[str, bool] = {}
        self.stanzas: list[tuple[list[str], str]] = []
        top = ""  # licence by the text in the top folder
        for path, reader in members:
            name = path.rsplit("/", 1)[-1]
            if name == "package.json" and path.count("/") <= 1:
                self.declared = _from_package_json(reader())
            elif path.endswith(".dist-info/METADATA"):
                self.declared = _from_metadata(reader().decode("utf-8", "replace"))
            elif path.startswith(("./usr/share/doc/", "usr/share/doc/")) and name == "copyright":
                copyright_file = copyright_file or reader().decode("utf-8", "replace")
            elif LICENCE_FILE.search(path):
                folder = path.rpartition("/")[0]
                text = reader().decode("utf-8", "replace")[:40_000]
                good = text_is_permissive(text)
                # two texts in a folder are a choice
                self.folders[folder] = self.folders.get(folder, False) or good
                if good and path.count("/") <= 1 and GRANT.search(text):
                    top = "permissive"
        if copyright_file:
            self.stanzas = _stanzas(copyright_file)
            if not self.declared:
                self.declared = next(
                    (licence for globs, licence in self.stanzas if "*" in globs), ""
                )
            if (
                not self.declared
                and not self.stanzas
                and text_is_permissive(copyright_file)
                and GRANT.search(copyright_file)
            ):
                self.declared = "permissive"
        self.declared = self.declared or top

    def permits(self, path: str, head: str) -> bool:
        """Whether a file may be mined; ``head`` is its beginning."""
        if not text_is_permissive(head):
            return False
        current = self.declared
        inside = path.removeprefix("./")
        for globs, licence in self.stanzas:  # the last matching stanza decides
            if any(
                fnmatch.fnmatchcase(inside, glob)
                or fnmatch.fnmatchcase(inside.partition("/")[2], glob)
                for glob in globs
            ):
                current = licence
        if not expression_is_permissive(current):
            return False
        folder = path.rpartition("/")[0]
        while True:
            if not self.folders.get(folder, True):
                return False
            if not folder:
                return True
            folder = folder.rpartition("/")[0]


def _from_package_json(data: bytes) -> str:
    try:
        licence = json.loads(data).get("license", "")
    except ValueError:
        return ""
    return str(licence.get("type", "") if isinstance(licence, dict) else licence)


def _from_metadata(text: str) -> str:
    message = message_from_string(text)
    if licence := message.get("License-Expression"):
        return str(licence)
    classifiers = [
        c.rsplit(" :: ", 1)[-1]
        for c in message.get_all("Classifier", [])
        if c.startswith("License :: OSI")
    ]
    licence = str(message.get("License") or "")
    if classifiers:
        return " OR ".join(re.sub(r" License.*| Software License.*", "", c) for c in classifiers)
    if "\n" in licence or len(licence) > 60:
        return "permissive" if text_is_permissive(licence) and GRANT.search(licence) else ""
    return licence


def _stanzas(text: str) -> list[tuple[list[str], str]]:
    """Return a copyright file's (globs, licence) pairs; [] for prose."""
    stanzas = []
    for stanza in re.split(r"\n\s*\n", text):
        files = re.search(r"^Files:((?:.|\n[ \t])*)", stanza, re.M)
        licence = re.search(r"^License:[ \t]*([^\n]*)", stanza, re.M)
        if files and licence:
            stanzas.append((files[1].split(), licence[1].strip()))
    return stanzas

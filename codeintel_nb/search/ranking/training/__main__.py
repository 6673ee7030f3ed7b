"""Train the ranking weights from clones, and report what they are worth.

Usage: python -m codeintel_nb.search.ranking.training CLONES WORK [ANNOTATIONS]

CLONES has a git directory for each repository of ``sources.json``, as ``owner+name``. WORK keeps
trees and features: a run that was stopped goes on where it was. ANNOTATIONS is a folder with
``repos.json``, ``annotations/`` and ``repos/``, as the semantic code-search benchmark has them.
The weights go to ``weights.json`` beside the ranking, the report to the standard output.
"""

from __future__ import annotations

import os
import sys
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import msgspec

from ..confidence import probability
from .extract import extract
from .fit import (  # fmt: skip
    Ranked,
    extracts_of,
    fit,
    fit_confidence,
    load,
    mean_by,
    ndcg,
    repositories,
    scores,
)
from .mine import export, mine
from .sources import Source, judges, questions, sources
from .tasks import Target, Task, Tasks

# names only judge: training on them lost 0.001 on the annotations, 0.003 on the judges' commits
KIND_WEIGHTS = {"annotations": 1.0, "questions": 1.0, "commits": 0.5}
L2 = 5.0


def main() -> None:
    clones, work = Path(sys.argv[1]), Path(sys.argv[2])
    annotations = Path(sys.argv[3]) if len(sys.argv) > 3 else None
    commits = [one for source in sources() if (one := commit_tasks(clones, work, source))]
    questioned = question_tasks(clones, work)
    annotated = annotated_tasks(annotations) if annotations else []
    features = work / "features"
    features.mkdir(parents=True, exist_ok=True)
    foreign = foreign_queries(annotated) | foreign_queries(questioned)
    missing = [
        tasks
        for tasks in [*annotated, *questioned, *commits, *map(names_of, commits)]
        if (tasks.tasks or tasks.kind == "names") and not (features / f"{tasks.name}.json").exists()
    ]
    others = [foreign.get(tasks.name, []) for tasks in missing]
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn")) as pool:
        for number, name in enumerate(pool.map(extract, missing, others, repeat(features)), 1):
            print(f"{number} of {len(missing)}: {name}", file=sys.stderr, flush=True)
    report(load(features))
    report_confidence(features)


def foreign_queries(every: list[Tasks]) -> dict[str, list[str]]:
    """Return for each repository the queries about another one, each query for one of them."""
    foreign: dict[str, list[str]] = {}
    for number, tasks in enumerate(every):
        for at, task in enumerate(tasks.tasks):
            other = every[(number + 1 + at % (len(every) - 1)) % len(every)]
            foreign.setdefault(other.name, []).append(task.query)
    return foreign


def commit_tasks(clones: Path, work: Path, source: Source) -> Tasks | None:
    """Mine a repository's commits, once."""
    path = work / "tasks" / f"commits-{source.name}.json"
    if path.exists():
        return msgspec.json.decode(path.read_bytes(), type=Tasks)
    if not source.commits or not (clone := git_dir(clones, source.repository)):
        return None
    mined = mine(clone, source.commits)
    if mined is None:
        return None
    root = tree(clone, mined.revision, work, source.repository)
    tasks = [
        Task(subject, "commit", [Target(path) for path in paths])
        for subject, paths in mined.queries
    ]
    return saved(
        path, Tasks(f"commits-{source.name}", source.repository, "commits", "", str(root), tasks)
    )


def names_of(commits: Tasks) -> Tasks:
    """Return an empty task list for names in the tree of ``commits``; extraction fills it."""
    return msgspec.structs.replace(
        commits, name=f"names-{commits.name.removeprefix('commits-')}", kind="names", tasks=[]
    )


def question_tasks(clones: Path, work: Path) -> list[Tasks]:
    """Export the trees that the written questions ask about."""
    every = []
    for one in questions():
        clone = git_dir(clones, one.repository)
        if not clone:
            continue
        name = one.repository.partition("/")[2]
        root = tree(clone, one.revision, work, one.repository)
        tasks = [
            Task(question.query, question.category, [Target(path) for path in question.paths])
            for question in one.questions
        ]
        every.append(
            Tasks(f"questions-{name}", one.repository, "questions", one.language, str(root), tasks)
        )
    return every


def annotated_tasks(folder: Path) -> list[Tasks]:
    """Read the annotated queries of a benchmark's folder."""
    every = []
    for one in msgspec.json.decode((folder / "repos.json").read_bytes()):
        name, part = one["name"], (one.get("benchmark_root") or "").strip("/")
        items = msgspec.json.decode((folder / "annotations" / f"{name}.json").read_bytes())
        tasks = [Task(item["query"], item.get("category", ""), [*_targets(item)]) for item in items]
        prefix = f"/{name}/{part}/" if part else f"/{name}/"
        root = str(folder / "repos" / name / part)
        every.append(
            Tasks(
                f"annotations-{name}", one["upstream"], "annotations", one["language"], root,
                tasks, prefix,
            )
        )  # fmt: skip
    return every


def _targets(item: dict[str, Any]) -> list[Target]:
    return [
        Target(entry)
        if isinstance(entry, str)
        else Target(entry["path"], entry.get("start_line") or 0, entry.get("end_line") or 0)
        for entry in [*item.get("relevant", []), *item.get("secondary", [])]
    ]


def git_dir(clones: Path, repository: str) -> Path | None:
    """Return a clone's git directory, bare or not."""
    folder = clones / repository.replace("/", "+")
    for path in (folder / "repo", folder / ".git", folder):
        if (path / "HEAD").exists():
            return path
    return None


def tree(clone: Path, revision: str, work: Path, repository: str) -> Path:
    """Export a revision, once."""
    root = work / "trees" / f"{repository.replace('/', '+')}-{revision[:12]}"
    if not root.exists():
        partial = root.with_name(f"{root.name}.partial")
        export(clone, revision, partial)
        partial.rename(root)
    return root


def saved(path: Path, tasks: Tasks) -> Tasks:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(tasks)))
    return tasks


def report(queries: list[Ranked]) -> None:
    """Fit, print what the fit is worth on repositories that it did not see, and save it."""
    print(f"{len(queries):,} queries of {len(repositories(queries))} repositories")
    kept_out = judges()
    judged = [one for one in queries if one.kind == "commits" and one.repository in kept_out]
    annotated = [one for one in queries if one.kind == "annotations"]
    questioned = [one for one in queries if one.kind == "questions"]
    own = {one.repository for one in annotated}
    commits = [
        one for one in queries if one.kind == "commits" and one.repository not in own | kept_out
    ]
    named = [one for one in queries if one.kind == "names"]
    if annotated:
        values = left_out(annotated, [*questioned, *commits])
        show("annotations, each repository left out", annotated, values)
        show("annotations, without any annotated repository", annotated, scored(commits, annotated))
    show("questions, without any question", questioned, scored([*annotated, *commits], questioned))
    weights = fit([*annotated, *questioned, *commits], KIND_WEIGHTS, L2)
    show("commits of the judges", judged, [ndcg(one, scores(one, weights)) for one in judged])
    show("names", named, [ndcg(one, scores(one, weights)) for one in named])
    by_name = zip(queries[0].features, weights.tolist(), strict=True)
    save("weights.json", {"features": {name: round(value, 4) for name, value in by_name}})


def scored(train: list[Ranked], judge: list[Ranked]) -> list[float]:
    weights = fit(train, KIND_WEIGHTS, L2)
    return [ndcg(one, scores(one, weights)) for one in judge]


def left_out(queries: list[Ranked], others: list[Ranked]) -> list[float]:
    """Return each query's measure under weights fitted without its repository."""
    values = dict[int, float]()
    for name in repositories(queries):
        judge = [one for one in queries if one.repository == name]
        train = [one for one in queries if one.repository != name]
        values |= zip(map(id, judge), scored([*train, *others], judge), strict=True)
    return [values[id(one)] for one in queries]


def report_confidence(features: Path) -> None:
    """Fit the confidence, and print how often it is right."""
    extracts = extracts_of(features)
    own = [one for extract in extracts if extract.foreign for one in extract.own]
    foreign = [one for extract in extracts for one in extract.foreign]
    model = fit_confidence(own, foreign)
    save("confidence.json", msgspec.structs.asdict(model))
    for kind in ("annotations", "questions"):
        every = [extract for extract in extracts if extract.kind == kind]
        doubted, caught = (
            [probability(one, model) < 0.5 for extract in every for one in getattr(extract, of)]
            for of in ("own", "foreign")
        )
        print(
            f"\nnothing fits, {kind}: said of {sum(caught) / max(1, len(caught)):.1%} of the "
            f"foreign queries, of {sum(doubted) / max(1, len(doubted)):.1%} of the own"
        )


def show(title: str, queries: list[Ranked], values: list[float]) -> None:
    print(f"\n{title}: NDCG@10 {sum(values) / max(1, len(values)):.4f} of {len(values)} queries")
    for of in ("category", "language", "repository"):
        table = mean_by(queries, values, of)
        if len(table) > 1:
            print(f"  by {of}: " + ", ".join(f"{key} {mean:.3f}" for key, mean in table.items()))


def save(name: str, data: dict[str, Any]) -> None:
    path = Path(__file__).parents[1] / name
    path.write_bytes(msgspec.json.format(msgspec.json.encode(data)) + b"\n")


if __name__ == "__main__":
    main()

import numpy as np

from codeintel_nb.search.ranking.confidence import Evidence, probability
from codeintel_nb.search.ranking.model import default_model
from codeintel_nb.search.ranking.training.extract import Pooled, extract
from codeintel_nb.search.ranking.training.fit import (
    Ranked,
    extracts_of,
    fit,
    fit_confidence,
    load,
    ndcg,
    scores,
)
from codeintel_nb.search.ranking.training.mine import export, is_source, mine
from codeintel_nb.search.ranking.training.sources import judges, questions, sources
from codeintel_nb.search.ranking.training.tasks import Target, Task, Tasks
from tests.conftest import FILES, write_tree


def test_commits_become_queries(tmp_path, git):
    root = write_tree(tmp_path / "r", {"src/a.py": "a = 1\n", "src/b.py": "b = 1\n", "t.md": "x\n"})
    git("init", cwd=root)
    for number, (subject, change) in enumerate(
        [
            ("Initial commit of everything", {}),
            ("fix(cart): round the total price to cents (#12)", {"src/a.py": "a = 2\n"}),
            ("Bump version to 1.2 for the release", {"src/a.py": "a = 3\n"}),
            ("Describe the payment of a cart", {"t.md": "y\n"}),
            ("Retry a payment when the network fails", {"src/b.py": "b = 2\n"}),
            ("Add a reader of saved carts", {"src/c.py": "c = 1\n"}),
        ]
    ):
        write_tree(root, {**change, "n.txt": f"{number}\n"})
        git("add", ".", cwd=root)
        git("commit", "-m", subject, cwd=root)
    mined = mine(root / ".git", 10)
    assert sorted(mined.queries) == [
        ("Retry a payment when the network fails", ["src/b.py"]),
        ("round the total price to cents", ["src/a.py"]),
    ]
    export(root / ".git", mined.revision, tmp_path / "tree")
    assert (tmp_path / "tree/src/a.py").read_text() == "a = 1\n", "the tree before the oldest"


def test_only_source_files_answer_a_commit():
    assert is_source("src/cart.py")
    assert not any(map(is_source, ("tests/test_cart.py", "README.md", "docs/conf.py", "a.json")))


def ranked(repository, matrix, answer):
    task = Task("a b", "semantic", [Target(f"f{answer}")])
    paths = [f"f{i}" for i in range(len(matrix))]
    pool = Pooled(task, paths, [(1, 9)] * len(matrix))
    return Ranked(
        repository, "commits", "", ["definition", "x"], pool, np.array(matrix), [{answer}]
    )


def test_fit_learns_the_feature_that_tells_answers():
    rng = np.random.default_rng(0)
    queries = []
    for number in range(60):
        matrix = rng.normal(size=(8, 2))
        queries.append(ranked(str(number), matrix, int(np.argmax(matrix[:, 1]))))
    weights = fit(queries, {"commits": 1.0}, 0.1)
    assert weights[1] > 5 * abs(weights[0])
    assert np.mean([ndcg(one, one.matrix @ weights) for one in queries]) > 0.99
    assert np.mean([ndcg(one, one.matrix @ -weights) for one in queries]) < 0.5


def test_confidence_is_learned_from_foreign_queries():
    rng = np.random.default_rng(0)
    own = [Evidence(*row) for row in rng.uniform(0.4, 1, (200, 6))]
    foreign = [Evidence(*row) for row in rng.uniform(0, 0.6, (200, 6))]
    model = fit_confidence(own, foreign)
    doubted = [probability(one, model) < 0.5 for one in own]
    assert 0.02 <= np.mean(doubted) <= 0.06
    assert np.mean([probability(one, model) < 0.5 for one in foreign]) > 0.8


def test_features_of_a_tree_are_extracted(tmp_path):
    root = write_tree(tmp_path / "shop", dict(FILES))
    tasks = [
        Task("total price of a cart", "semantic", [Target("src/shop/cart.py")]),
        Task("charge_card", "symbol", [Target("src/shop/payment.py", 8, 14)]),
    ]
    of_shop = Tasks("shop", "me/shop", "questions", "python", str(root), tasks)
    assert extract(of_shop, ["parse a colour"], tmp_path) == "shop"
    queries = load(tmp_path)
    weights = default_model().weights
    assert [ndcg(one, scores(one, weights)) for one in queries] == [1, 1]
    (one,) = extracts_of(tmp_path)
    assert len(one.own) == 2
    assert one.own[0].coverage > one.foreign[0].coverage


def test_names_become_queries(tmp_path):
    files = {
        "src/a.py": "def load_config(): ...\n\ndef parse(): ...\n\ndef run_twice(): ...\n",
        "src/b.py": "class ConfigReader:\n    def run_twice(self): ...\n",
        "tests/test_a.py": "def test_load_config(): ...\n",
    }
    root = write_tree(tmp_path / "r", files)
    of_names = Tasks("names-r", "me/r", "names", "", str(root), [])
    extract(of_names, [], tmp_path)
    (one,) = extracts_of(tmp_path)
    asked = {(pool.task.query, pool.task.targets[0].path) for pool in one.pools}
    spelled = {("load_config", "src/a.py"), ("load config", "src/a.py")}
    others = {("ConfigReader", "src/b.py"), ("config reader", "src/b.py")}
    assert len(asked & spelled) == len(asked & others) == 1, "one word and two definitions are out"
    assert len(asked) == 2


def test_repositories_that_judge_have_commits_and_no_questions():
    assert len(judges()) == 10
    assert not judges() & {one.repository for one in questions()}
    assert all(source.commits for source in sources() if source.judges)


def test_questions_name_their_sources():
    every = questions()
    assert len(every) >= 40
    permissive = {"MIT", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "ISC"}
    assert {one.licence for one in every} <= permissive
    assert all(len(one.revision) == 40 and len(one.questions) == 20 for one in every)
    assert {source.licence for source in sources()} <= {*permissive, "MPL-2.0"}

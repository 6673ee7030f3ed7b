"""Near copies and overloads are one hit, which names the places of the others."""

import threading

import msgspec
import pytest

from codeintel_nb import Workspace
from codeintel_nb.engines import semantic_search
from codeintel_nb.mcp_server.values import FoundHit
from codeintel_nb.notebook import display
from codeintel_nb.scopes.scope import EVERYTHING, Scope
from codeintel_nb.search.query import Bounds, SemanticQuery
from tests.waiting import until

from ..conftest import write_tree

BODY = """
def settle_invoice(invoice, ledger, *, currency="EUR"):
    \"\"\"Settle an invoice: post its lines to the ledger, and mark it as paid.\"\"\"
    for line in invoice.lines:
        amount = line.amount * ledger.rate(line.currency, currency)
        ledger.post(account=line.account, amount=amount, note=f"invoice {invoice.number}")
    invoice.paid_at = ledger.today()
    return ledger.balance()
"""
OVERLOAD = """
    @overload
    def convert(self, amount: Amount{n}, currency: Literal["C{n}"], *, rounding: Rounding = ...,
                rates: Mapping[str, Decimal] | None = ..., strict: bool = ...) -> Amount{n}: ...
"""
IMPLEMENTATION = """
    def convert(self, amount, currency, *, rounding=None, rates=None, strict=False):
        \"\"\"Convert an amount into a currency by the rates of the day.\"\"\"
        rate = (rates or self.rates)[currency]
        return self.round(amount * rate, rounding)
"""
WORDS = (
    "what this case is meant for and why nobody should ever use it without a good reason".split()
)
DECLARATION = """
export function convertAmount(amount: Amount{n}, currency: "C{n}", rounding?: Rounding,
  rates?: Record<string, number>, onMissing?: (currency: string) => void): Amount{n};"""


def overloads(count):
    return "class Exchange:\n" + "".join(OVERLOAD.format(n=n) for n in range(count))


@pytest.fixture
def make(tmp_path):
    made = []

    def make(**trees):
        workspace = Workspace.open(tmp_path / f"home{len(made)}")
        made.append(workspace)
        for name, files in trees.items():
            workspace.index(write_tree(tmp_path / name, files), name=name)
        return workspace

    yield make
    for workspace in made:
        workspace.close()


def places(hits):
    return [(hit.path, hit.start_line) for hit in hits]


def test_copies_are_one_hit(make):
    other = BODY.replace("Settle an invoice", "Settle one invoice")
    workspace = make(
        shop={"billing/settle.py": BODY, "legacy/settle_old.py": other, "mail.py": "x = 1\n"},
        fork={"vendor/settle.py": BODY},
    )
    for mode in ("hybrid", "lexical", "dense"):
        results = workspace.semantic_search("how is an invoice settled", mode=mode)
        settled = [hit for hit in results if hit.path.endswith(("settle.py", "settle_old.py"))]
        (hit,) = settled
        everywhere = {
            ("shop", "billing/settle.py"),
            ("shop", "legacy/settle_old.py"),
            ("fork", "vendor/settle.py"),
        }
        expected = {
            f"{path}:1" if repo == hit.repo else f"{repo}/{path}:1"
            for repo, path in everywhere - {(hit.repo, hit.path)}
        }
        assert set(hit.also) == expected
    assert workspace.semantic_search("how is an invoice settled", Scope(repo="fork"))[0].also == ()


def test_functions_of_one_name_with_bodies_of_their_own_stay_apart(make):
    other = """
def settle_invoice(self, invoice):
    if self.is_closed:
        raise ClosedError("the books of this year are closed")
    self.queue.append(invoice)
    self.notify("settled", invoice.number)
"""
    workspace = make(shop={"a.py": BODY, "b.py": other})
    results = workspace.semantic_search("settle_invoice")
    assert {hit.path for hit in results} == {"a.py", "b.py"}
    assert not any(hit.also for hit in results)


def test_heads_of_files_are_no_copies_of_each_other(make):
    head = '"""Copyright of the shop; all rights are the owner\'s, none of them yours."""\n' * 3
    files = {
        f"{name}.py": f"{head}\nimport os\nimport {name}\n\nLIMIT_{name.upper()} = {number}\n"
        for number, name in enumerate(("sales", "stock", "staff"))
    }
    results = make(shop=files).semantic_search("copyright of the shop")
    assert {hit.path for hit in results} == {*files}


@pytest.mark.parametrize("query", ["convert", "convert an amount into a currency"])
@pytest.mark.parametrize("first", ["overloads", "implementation"])
def test_overloads_fold_into_the_implementation(make, query, first):
    parts = [OVERLOAD.format(n=n) for n in range(9)]
    parts.insert(len(parts) if first == "overloads" else 0, IMPLEMENTATION)
    workspace = make(shop={"exchange.py": f"class Exchange:\n{''.join(parts)}"})
    results = workspace.semantic_search(query)
    (hit,) = [hit for hit in results if "rate = (rates or self.rates)[currency]" in hit.snippet]
    assert hit.also
    assert len(results) <= 2, "and perhaps the head of the class"


def test_declarations_of_typescript(make):
    text = "".join(DECLARATION.format(n=n) for n in range(9)) + (
        "\nexport function convertAmount(amount: any, currency: string): any {\n"
        "  return round(amount * rates[currency]);\n}\n"
    )
    results = make(shop={"exchange.ts": text}).semantic_search("convertAmount")
    assert len(results) == 1
    assert "return round" in results[0].snippet
    assert results[0].also


def test_assignments_are_no_declarations(make):
    text = "".join(
        f"// Case {number}\nexport const Case{number} = make('Case{number}', (inst, def) => {{\n"
        f"  Base.init(inst, def);\n  inst.fields_of_case_{number} = def.fields;\n"
        "  inst.unwrap = () => inst.def.innerTypeOfTheCase;\n  inst.remove = inst.unwrap;\n});\n"
        f"// {' '.join(f'{word}{number}' for word in WORDS)}\n"
        for number in range(6)
    )
    results = make(shop={"cases.ts": text}).semantic_search("unwrap the inner type of a case")
    assert not any(hit.also for hit in results)


def test_what_is_folded_depends_on_no_limit_and_no_cut(make, tmp_path):
    files = (
        {
            f"part{number:02}/settle.py": BODY.replace("EUR", f"C{number % 3}")
            for number in range(24)
        }
        | {
            f"only{number}.py": f"def settle_{number}(invoice):\n    return invoice.x * {number}\n"
            for number in range(9)
        }
        | {"exchange.py": overloads(12) + IMPLEMENTATION}
    )
    workspace = make(shop=files)
    full = workspace.semantic_search("settle an invoice and convert its amount", limit=200)
    assert any(len(hit.also) > 5 for hit in full)
    named = [f"{hit.path}:{hit.start_line}" for hit in full] + [
        place for hit in full for place in hit.also
    ]
    assert len(named) == len(set(named)), "each place once, as a hit or within one"
    for limit in (1, 3, 10):
        query = "settle an invoice and convert its amount"
        part = workspace.semantic_search(query, limit=limit)
        assert [msgspec.to_builtins(hit) for hit in part] == [
            msgspec.to_builtins(hit) for hit in full[:limit]
        ]
    home = tmp_path / "cut"
    with Workspace.open(home) as cut:
        cut.settings = msgspec.structs.replace(cut.settings, shard_bytes=4000)
        cut.indexer._settings = cut.settings
        cut.index(tmp_path / "shop", name="shop")
        assert len(cut._repositories.view(EVERYTHING).targets) > 2
        for mode in ("hybrid", "lexical", "dense"):
            query = "settle an invoice and convert its amount"
            one = workspace.semantic_search(query, limit=50, mode=mode)
            many = cut.semantic_search(query, limit=50, mode=mode)
            assert [msgspec.to_builtins(hit) for hit in one] == [
                msgspec.to_builtins(hit) for hit in many
            ]


def test_explanation_of_an_overload_sums_up(make):
    workspace = make(shop={"exchange.py": overloads(9) + IMPLEMENTATION, "mail.py": BODY})
    for hit in workspace.semantic_search("convert an amount", why=True):
        assert hit.why.score == pytest.approx(hit.score)


def test_place_of_a_copy_explains_itself(make):
    workspace = make(shop={"billing/settle.py": BODY, "legacy/settle_old.py": BODY})
    (hit,) = workspace.semantic_search("how is an invoice settled")
    (copy,) = hit.also
    answer = workspace.semantic_search("how is an invoice settled", why_not=copy).why_not
    assert answer == (
        f"{copy} is part of the first hit, {hit.location}, as a near copy or an overload."
    )


def test_every_face_names_the_places(make):
    files = {f"part{number}/settle.py": BODY for number in range(6)}
    results = make(shop=files).semantic_search("how is an invoice settled")
    (hit,) = results
    assert len(hit.also) == 5
    first = ", ".join(hit.also[:3])
    assert f"also in {first} and 2 more" in repr(results)
    shown = display.present(results)
    assert f"also in {first} and 2 more" in shown["text/html"]
    assert "also in" in shown["text/markdown"]
    assert FoundHit.of(hit).also == hit.also
    assert "also" not in results.to_df().columns


def test_stop_of_the_deeper_search_keeps_the_first_hits(make, monkeypatch):
    files = {f"part{number}/settle.py": BODY for number in range(300)}
    workspace = make(shop=files | {"mail.py": "def invoice(): ...\n"})
    cancel, found, calls = threading.Event(), semantic_search._found, []

    def stopped_when_deeper(*args):
        calls.append(args)
        if len(calls) == 2:
            cancel.set()
            until(args[-1].stopped)  # another thread tells the engine
        return found(*args)

    monkeypatch.setattr(semantic_search, "_found", stopped_when_deeper)
    query = SemanticQuery("how is an invoice settled", limit=50)
    results = workspace.search(query, EVERYTHING, Bounds(cancel=cancel))
    assert len(calls) == 2
    assert results.reason == "cancelled"
    assert any("def settle_invoice" in hit.snippet for hit in results)

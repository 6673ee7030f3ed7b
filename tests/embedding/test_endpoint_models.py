"""Entries of embedders.toml."""

import os

import pytest

from codeintel_nb.embedding.embedders import Embedders, id_of
from codeintel_nb.embedding.endpoint.models import EndpointModel, model_named, read_models
from codeintel_nb.errors import EmbeddingError

LOCAL = EndpointModel("http://127.0.0.1:8080/v1", "m")


def write(home, text):
    (home / "embedders.toml").write_text(text, encoding="utf-8")
    return home


def test_entries(tmp_path):
    assert read_models(tmp_path) == {}
    write(
        tmp_path,
        '[a]\nurl = "https://api.example.com/v1"\nmodel = "m-1"\ndimensions = 256\nprice = 0.02\n'
        'key_variable = "KEY"\n[b-2]\nurl = "http://[::1]:8080/v1"\nmodel = "n"\n',
    )
    models = read_models(tmp_path)
    assert models["a"].host == "api.example.com"
    assert not models["a"].is_loopback
    assert models["a"].is_encrypted
    assert models["a"].dimensions == 256
    assert models["b-2"].is_loopback
    assert not models["b-2"].is_encrypted


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[a", "not valid TOML"),
        ("a = 1", r"\[a\].*is invalid"),
        ("[a]\nmodel = 'm'", "missing required field `url`"),
        ("[a]\nurl = 'http://x/v1'", "missing required field `model`"),
        ("[a]\nurl = 'http://x/v1'\nmodel = ''", "model is empty"),
        ("[a]\nurl = 'x/v1'\nmodel = 'm'", "must begin with http:// or https://"),
        ("[a]\nurl = 'file:///etc'\nmodel = 'm'", "must begin with http:// or https://"),
        ("[a]\nurl = 'https://me:key@x/v1'\nmodel = 'm'", "must not contain a key.*key_variable"),
        ("[a]\nurl = 'https://x/v1?key=k'\nmodel = 'm'", "must not contain a key"),
        ("[a]\nurl = 'http://x/v1'\nmodel = 'm'\nmodelname = 'n'", "unknown field `modelname`"),
        ("[a]\nurl = 'http://x/v1'\nmodel = 'm'\nbatch = 0", "batch must be at least 1"),
        ("[a]\nurl = 'http://x/v1'\nmodel = 'm'\nbatch = 'all'", "Expected `int`"),
        ("[a]\nurl = 'http://x/v1'\nmodel = 'm'\nprice = -1.0", "price must not be negative"),
        ("[a]\nurl = 'http://x/v1'\nmodel = 'm'\ndimensions = -1", "dimensions must not"),
        (
            "[a]\nurl = 'http://x/v1'\nmodel = 'm'\nkey_variable = 'K'\nkey_file = 'f'",
            "not both",
        ),
        ("[builtin]\nurl = 'http://x/v1'\nmodel = 'm'", "cannot be a name"),
        ("['a b']\nurl = 'http://x/v1'\nmodel = 'm'", "cannot be a name"),
    ],
)
def test_invalid_entry_is_named(tmp_path, text, message):
    with pytest.raises(EmbeddingError, match=message):
        read_models(write(tmp_path, text))


def test_unknown_name(tmp_path):
    write(tmp_path, '[openai]\nurl = "https://x/v1"\nmodel = "m"\n')
    with pytest.raises(EmbeddingError, match=r"no entry 'opnai'.*Did you mean 'openai'\?"):
        model_named(tmp_path, "opnai")


def test_id_follows_what_changes_the_vectors():
    from msgspec.structs import replace

    same = [
        replace(LOCAL, url="https://elsewhere/v1"), replace(LOCAL, query_prefix="q: "),
        replace(LOCAL, batch=8), replace(LOCAL, key_variable="K"), replace(LOCAL, price=1.0),
    ]  # fmt: skip
    other = [
        replace(LOCAL, model="n"), replace(LOCAL, dimensions=64),
        replace(LOCAL, code_prefix="passage: "), replace(LOCAL, max_tokens=256),
    ]  # fmt: skip
    assert {one.id for one in same} == {LOCAL.id}
    assert len({LOCAL.id, *(one.id for one in other)}) == 5


def test_key(tmp_path, monkeypatch):
    from msgspec.structs import replace

    assert LOCAL.key() == ""
    by_variable = replace(LOCAL, key_variable="SOME_KEY")
    with pytest.raises(EmbeddingError, match="SOME_KEY.*is not set"):
        by_variable.key()
    monkeypatch.setenv("SOME_KEY", " secret\n")
    assert by_variable.key() == "secret"
    file = tmp_path / "key"
    by_file = replace(LOCAL, key_file=str(file))
    with pytest.raises(EmbeddingError, match="cannot be read"):
        by_file.key()
    file.write_text("secret\n")
    file.chmod(0o644)
    if os.name == "posix":
        with pytest.raises(EmbeddingError, match="can be read by other users.*chmod 600"):
            by_file.key()
    file.chmod(0o600)
    assert by_file.key() == "secret"
    file.write_text("\n")
    with pytest.raises(EmbeddingError, match="is empty"):
        by_file.key()


@pytest.mark.parametrize(
    ("host", "is_loopback"),
    [
        ("localhost", True), ("127.0.0.1", True), ("127.9.9.9:80", True), ("[::1]", True),
        ("localhost.example.com", False), ("127.0.0.1.example.com", False), ("10.0.0.1", False),
        ("0.0.0.0", False), ("api.openai.com", False), ("2130706433", False),
    ],
)  # fmt: skip
def test_loopback(host, is_loopback):
    assert EndpointModel(f"http://{host}/v1", "m").is_loopback is is_loopback


def test_embedders_are_opened_once_and_without_a_request(tmp_path):
    write(tmp_path, '[a]\nurl = "http://127.0.0.1:1/v1"\nmodel = "m"\n')
    embedders = Embedders(tmp_path)
    one = embedders.named("a", 384)
    assert one.is_remote
    assert one.dim == 384
    assert embedders.named("a", 384) is one
    assert embedders.of_id(one.id, 384) is one
    assert embedders.of_id("other", 384) is None
    default = embedders.named("")
    assert not default.is_remote
    assert embedders.of_id(default.id, 256) is default
    assert id_of(tmp_path, "") == default.id
    assert id_of(tmp_path, "a") == one.id
    embedders.close()

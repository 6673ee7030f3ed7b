import json

from codeintel_nb.sources.cells import cells_of
from codeintel_nb.sources.chunk import document_of


def notebook(*cells, **metadata):
    made = [{"cell_type": kind, "source": source, "outputs": [{"text": "SHOWN"}]} for kind, source in cells]
    return json.dumps({"cells": made, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}).encode()


def test_each_cell_is_a_chunk_of_its_own_with_its_index():
    found = cells_of(notebook(("markdown", "# Load\n\nthe data"), ("code", ""), ("code", ["import x\n", "%matplotlib inline\n", "!ls"]), ("code", "def f():\n    pass")))
    assert found.content == b"# Load\n\nthe data\nimport x\n%matplotlib inline\n!ls\ndef f():\n    pass\n"
    assert [(c.start_line, c.end_line, c.kind, c.cell) for c in found.chunks] == [(1, 3, "markdown", 0), (4, 6, "cell", 2), (7, 8, "function", 3)]
    assert [(s.name, s.start_line) for s in found.symbols] == [("f", 7)]
    assert b"SHOWN" not in found.content


def test_the_language_comes_from_the_kernel():
    assert cells_of(notebook(("code", "x"), kernelspec={"language": "julia"})).language == "julia"
    assert cells_of(notebook(("code", "x"), language_info={"name": "ipython"})).language == "python"
    assert cells_of(notebook(("code", "x"), language_info={"name": "brainwave"})).language == "text"


def test_the_third_format_is_read():
    old = {"nbformat": 3, "metadata": {}, "worksheets": [{"cells": [{"cell_type": "code", "input": ["a = 1\n", "b"]}, {"cell_type": "markdown", "source": "words"}]}]}
    assert cells_of(json.dumps(old).encode()).content == b"a = 1\nb\nwords\n"


def test_what_is_no_notebook_is_searched_as_the_json_it_is():
    document = document_of("a.ipynb", b'{"cells": 3}\n')
    assert document.content == b'{"cells": 3}\n'
    assert document.language == "json"
    assert document_of("a.ipynb", b"not json").content == b"not json\n"

import numpy as np
from hypothesis import given

from codeintel_nb import Scope
from codeintel_nb.index.shard.shard import KINDS
from codeintel_nb.search.mask import compile_mask
from tests.strategies import SCOPE_FIELDS


def shard_of(workspace):
    (target,) = workspace._repositories.view(Scope()).targets
    return workspace._engine.shard_of(target)


@given(SCOPE_FIELDS)
def test_mask_agrees_with_the_scope_on_every_chunk(shop, fields):
    fields.pop("revisions", None)
    scope = Scope(**fields)
    shard = shard_of(shop)
    dead = (1, 3)
    mask = compile_mask(shard, dead, scope)
    matcher = scope.matcher()
    for chunk in range(shard.manifest.chunks):
        file = int(shard.chunk_file[chunk])
        expected = (
            file not in dead
            and matcher.admits(shard.paths[file])
            and (not scope.languages or shard.language(file) in scope.languages)
            and (not scope.kinds or KINDS[int(shard.chunk_kind[chunk])] in scope.kinds)
        )
        assert (mask.chunks is None or bool(mask.chunks[chunk])) == expected
    if mask.chunks is not None:
        assert mask.chunks_in_scope == mask.chunks.sum()
        assert mask.files_in_scope == mask.files.sum()


def test_empty_scope_needs_no_mask(shop):
    shard = shard_of(shop)
    mask = compile_mask(shard, (), Scope())
    assert mask.chunks is None
    assert (mask.files_in_scope, mask.chunks_in_scope) == (
        shard.manifest.files,
        shard.manifest.chunks,
    )


def test_empty_file_is_in_scope(shop):
    assert "empty.py" in [hit.path for hit in shop.list_paths(Scope(languages=("python",)))]


def test_revisions_are_bits_of_each_file(shop):
    shard = shard_of(shop)
    assert (
        compile_mask(shard, (), Scope(revisions=("worktree",))).files_in_scope
        == shard.manifest.files
    )
    assert np.all(shard.file_revisions == 1)

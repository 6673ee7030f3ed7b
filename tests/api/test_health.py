import threading

from codeintel_nb import __version__
from codeintel_nb.index.update.report import Progress
from codeintel_nb.server.health import health
from codeintel_nb.server.jobs import Jobs


def test_reasons_for_a_degraded_service(shop):
    over = threading.Event()

    def index(repository, progress, cancel, rebuild, only, requested):
        progress(Progress("listing files"))
        over.wait(20)
        return shop.indexer.index(repository)

    jobs = Jobs(index)
    well = health(shop, 10_000, jobs)
    assert (well.status, well.reasons, well.version, well.repositories) == (
        "ok",
        (),
        __version__,
        1,
    )
    (crowded,) = health(shop, 10_001, jobs).reasons
    assert "10,001 sessions" in crowded
    jobs.start(shop.repository("shop"))
    while (
        jobs.state("shop").progress is None or jobs.state("shop").progress.stage != "listing files"
    ):
        pass
    assert health(shop, 1, jobs).reasons == ()
    (stuck,) = health(shop, 1, jobs, stuck_s=0).reasons
    assert "shop: its indexing run has made no progress" in stuck
    over.set()
    jobs.close()
    next((shop.settings.home / "v8/repositories").glob("*/shards/*/columns.bin")).unlink()
    damaged = health(shop, 1, jobs)
    assert damaged.status == "degraded"
    assert "codeintel doctor" in damaged.reasons[0]


def test_folder_replaced_by_a_symlink_degrades_the_service(shop, tree, tmp_path):
    jobs = Jobs(lambda *_: None)
    tree.rename(tmp_path / "kept")
    tree.symlink_to(tmp_path / "kept")
    ill = health(shop, 1, jobs)
    assert ill.status == "degraded"
    assert "shop: The folder" in ill.reasons[0]
    assert "leads elsewhere now" in ill.reasons[0]
    tree.unlink()
    (tmp_path / "kept").rename(tree)
    assert health(shop, 1, jobs).status == "ok"
    jobs.close()

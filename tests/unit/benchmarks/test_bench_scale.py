"""The benchmark of very large row files, on a small one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("fairseq")
if not Path("/proc/self/smaps_rollup").exists():
    pytest.skip("memory is read from /proc", allow_module_level=True)

from benchmarks import bench_scale
from biomedgpt_fairseq.data.tsv_index import INDEX_SUFFIX


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scale") / "rows.tsv"
    bench_scale.write_rows(path, 3000)
    return path


@pytest.mark.parametrize("stage", bench_scale.STAGES)
def test_stage_gives_time_and_memory(
    rows: Path, stage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench_scale.main(["--stage", stage, str(rows)]) == 0

    figures = json.loads(capsys.readouterr().out)
    assert figures["s"] >= 0 and figures["peak_mb"] >= 0
    if stage.startswith("loading"):
        assert 0 < figures["worker_private_mb"] < figures["worker_rss_mb"]
        assert figures["trainer_rss_mb"] < figures["all_pss_mb"] + figures["worker_rss_mb"]


def test_file_has_the_rows_and_one_index_entry_each(rows: Path) -> None:
    bench_scale.bench_indexing(rows)
    assert rows.read_text("ascii").count("\n") == 3000
    assert Path(f"{rows}{INDEX_SUFFIX}").stat().st_size == 48 + 8 * 3001

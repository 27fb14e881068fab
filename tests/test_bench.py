"""The benchmark measures what it says, and checks the answers of those it measures."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import simplejpeg

TESTS = Path(__file__).resolve().parent
BENCH = TESTS.parent / "bench"
COUNT = 10
PEERS = ("pyloader", "keras")
SCOREBOARD = "-m bench"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Ten colored pictures of many sizes in two classes."""
    rng = np.random.default_rng(5)
    for number in range(COUNT):
        height, width = rng.integers(40, 90, 2)
        picture = np.zeros((height, width, 3), np.uint8)
        picture[: height // 2] = rng.integers(0, 256, 3)
        picture[:, : width // 3] = rng.integers(0, 256, 3)
        folder = tmp_path / "data" / ("even", "odd")[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        content = simplejpeg.encode_jpeg(picture, 90, "RGB", "420")
        (folder / f"{number}.jpg").write_bytes(content)
    return tmp_path / "data"


def run(script: str, data: Path, *options: str) -> tuple[int, str, dict[str, Any]]:
    """Runs a benchmark; returns its exit status, what it printed and its JSON."""
    result = data.parent / "result.json"
    python_path = [os.environ["PYTHONPATH"]] if "PYTHONPATH" in os.environ else []
    command = ["-m", "bench"] if script == SCOREBOARD else [str(BENCH / script)]
    ran = subprocess.run(
        [
            *(sys.executable, *command, "--data", str(data), "--json", str(result)),
            *("--size", "32", "40", "--batch-size", "4", "--rounds", "1"),
            *options,
        ],
        check=False,
        capture_output=True,
        text=True,
        timeout=600,
        cwd=BENCH.parent,
        env=os.environ
        | {"PYTHONPATH": os.pathsep.join([str(TESTS), str(data.parent), *python_path])},
    )
    assert result.exists(), ran.stderr
    return ran.returncode, ran.stdout, json.loads(result.read_text())


def scoreboard(data: Path, *options: str) -> tuple[int, str, dict[str, Any]]:
    """Runs python -m bench with the peers that are installed here, page cache warm."""
    if "--experiments" not in options:
        options = ("--experiments", "warm", *options)
    return run(SCOREBOARD, data, "--here", *options)


def overlap(data: Path, *options: str) -> tuple[int, str, dict[str, Any]]:
    """Runs bench_overlap on the plain loops."""
    return run("bench_overlap.py", data, "--backends", "--epochs", "3", *options)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_pyloader_and_a_peer_are_measured_and_their_pixels_checked(data, dtype):
    status, printed, result = scoreboard(
        data, "--peers", "pyloader,simplejpeg", "--dtype", dtype, "--threads", "2"
    )
    assert status == 0, printed
    assert result["files"] == COUNT
    assert result["settings"]["directory"] == "data"  # a name, not a place on this machine
    assert {"machine", "versions", "rounds", "warm_up_epochs", "date", "title"} <= result.keys()
    assert list(result["experiments"]) == ["warm"]
    warm = result["experiments"]["warm"]
    assert warm["reference"] == "pyloader"
    assert list(warm["peers"]) == ["pyloader", "simplejpeg"]
    for peer, raw in warm["peers"].items():
        (epoch,) = raw["epochs"]
        assert epoch["images"] == COUNT
        assert min(epoch["seconds"], epoch["cpu_seconds"], epoch["peak_memory_bytes"]) > 0
        waits = [*epoch["first_batch_seconds"], *epoch["batch_seconds"]]
        assert (len(epoch["first_batch_seconds"]), len(waits)) == (1, 3)  # 4, 4 and 2 images
        assert 0 < sum(waits) <= epoch["seconds"]
        assert raw["same_order"] == [True]
        summary = warm["summary"][peer]
        assert summary["images_checked"] == COUNT
        waits = [1000 * wait for wait in epoch["batch_seconds"]]
        assert summary["batch_ms_p50"] == pytest.approx(np.median(waits))
        assert min(waits) <= summary["batch_ms_p99"] <= max(waits)
        about, first = raw["about"], raw["warm_up"]["first_batch_seconds"][0]
        begun = about["import_seconds"] + about["construct_seconds"]
        assert summary["first_batch_seconds"] == pytest.approx(begun + first)
        assert summary["peak_megabytes"] > 10
        assert peer in printed
    exact, other = warm["summary"]["pyloader"], warm["summary"]["simplejpeg"]
    assert (exact["max_difference"], exact["psnr"]) == (0, None)
    assert other["max_difference"] > 0
    noise = 10 * np.log10(255**2 / other["mean_square_difference"])
    assert other["psnr"] == pytest.approx(noise)
    assert exact["ratio_to_reference"] == 1


@pytest.mark.parametrize(
    ("peer", "reason"),
    [
        ("OffByOne", "differs by up to 1 levels"),
        ("AnotherPicture", "a picture that is not the file's"),
        ("SwappedColors", "a picture that is not the file's"),
        ("Mirrored", "a picture that is not the file's"),
        ("Incomplete", "delivered 8 of 10 images"),
        ("WorksBetweenTurns", "between its turns"),
    ],
)
def test_a_wrong_peer_is_found_out(data, peer, reason):
    name, other = f"wrong_peers:{peer}", "wrong_peers:TakesItsTime"
    status, printed, result = scoreboard(data, "--peers", f"{name},{other}")
    assert status == 1
    assert f"WRONG {name}" in printed
    assert reason in printed
    summary = result["experiments"]["warm"]["summary"]
    assert not summary[name]["correct"]
    assert summary[other]["correct"]


def test_a_peer_that_cannot_do_the_job_is_skipped_with_the_reason(data):
    status, printed, result = scoreboard(
        data, "--peers", "pillow,opencv", "--interpolation", "hamming"
    )
    assert status == 0
    warm = result["experiments"]["warm"]
    assert list(warm["peers"]) == ["pillow"]
    assert "OpenCV has no hamming filter" in warm["skipped"]["opencv"]
    assert "opencv skipped" in printed


@pytest.mark.parametrize("peer", ["DiesAtStart", "DiesLater"])
def test_a_peer_whose_process_ends_is_skipped_and_the_others_go_on(data, peer):
    name = f"wrong_peers:{peer}"
    status, printed, result = scoreboard(data, "--peers", f"{name},pillow")
    assert status == 0, printed
    warm = result["experiments"]["warm"]
    assert list(warm["peers"]) == ["pillow"]
    assert warm["skipped"][name] == f"the process of {name} ended: RuntimeError: out of luck"


def test_processes_that_a_peer_starts_count_with_their_time_and_memory(data):
    name = "wrong_peers:HasAHelper"
    status, printed, result = scoreboard(data, "--peers", f"pillow,{name}")
    assert status == 0, printed
    warm = result["experiments"]["warm"]
    (alone,), (helped,) = (warm["peers"][peer]["epochs"] for peer in ("pillow", name))
    assert helped["cpu_seconds"] > alone["cpu_seconds"] + 0.2  # the helper's 0.3 s
    more = warm["summary"][name]["peak_megabytes"] - warm["summary"]["pillow"]["peak_megabytes"]
    assert more > 50  # the helper's 64 MB


def test_caches_are_measured_beside_a_loader_that_decodes(data):
    status, printed, result = scoreboard(
        data,
        *("--peers", "pyloader,simplejpeg,pillow,pyloader-memory,pyloader-folder"),
        *("--experiments", "cold", "cached"),
    )
    assert status == 0, printed
    assert list(result["experiments"]["cold"]["peers"]) == ["pyloader", "simplejpeg", "pillow"]
    cached = result["experiments"]["cached"]
    assert list(cached["peers"]) == [
        *("pyloader", "simplejpeg", "pyloader-memory", "pyloader-folder")
    ]
    for name in ("pyloader-memory", "pyloader-folder"):
        assert cached["summary"][name]["max_difference"] == 0
        (turn,) = cached["peers"][name]["epochs"]
        assert turn["images"] == len(turn["first_batch_seconds"]) * COUNT > COUNT


def test_scaling_measures_threads_folders_and_the_cost_of_a_batch(data):
    sizes = ("--thread-counts", "1", "2", "--file-counts", "5", "25", "--large-files", "5")
    status, printed, result = run("bench_scaling.py", data, *sizes, "--overhead-calls", "4")
    assert status == 0, printed
    threads, files, pixels = result["sections"].values()
    assert list(threads) == ["pyloader, 1 threads", "pyloader, 2 threads"]
    assert [entry["epochs"][0]["images"] for entry in files.values()] == [5, 25]
    assert [entry["epochs"][0]["images"] for entry in pixels.values()] == [5, 5]
    for entry in [*threads.values(), *files.values(), *pixels.values()]:
        assert entry["problems"] == []
        assert entry.get("overhead_us_median", 1) > 0
    assert "overhead_us_median" in threads["pyloader, 1 threads"]
    assert sorted(path.name for path in data.parent.iterdir()) == ["data", "result.json"]


def test_slow_files_are_measured_with_and_without_reading_ahead(data):
    status, printed, result = run("bench_readahead.py", data, "--delays", "0", "4")
    assert status == 0, printed
    labels = [f"{delay} ms, {how}" for delay in (0, 4) for how in ("not ahead", "read ahead")]
    assert list(result["entries"]) == labels
    for label, entry in result["entries"].items():
        assert entry["problems"] == []
        assert label in printed
    slow = result["entries"]["4 ms, not ahead"]["epochs"][0]
    assert slow["seconds"] >= COUNT * 0.004 / 2  # two threads wait at a time


def test_cache_compares_epochs_that_decode_with_epochs_that_do_not(data):
    status, printed, result = run("bench_cache.py", data, "--rounds", "1", "--files", "40")
    assert status == 0, printed
    (figures,) = result["rounds"]
    assert next(iter(figures)) == "decoded"
    assert len(figures) == 10
    assert min(figures.values()) > 0
    assert "folder, next process, first epoch" in printed
    assert sorted(path.name for path in data.parent.iterdir()) == ["data", "result.json"]


def test_overlap_measures_the_waiting_of_a_plain_loop(data):
    status, printed, result = overlap(data, "--factor", "4", "--peers", "pyloader")
    assert status == 0, printed
    assert result["step_seconds"] == pytest.approx(4 * result["batch_seconds"])
    assert list(result["raw"]) == ["ready, plain", "pyloader, plain"]
    (ready,) = result["raw"]["ready, plain"]
    (round_,) = result["raw"]["pyloader, plain"]
    assert ready["steps"] == 9
    for_input = result["summary"]["pyloader, plain"]["for_input_percent"]["median"]
    assert for_input == pytest.approx(100 * (round_["waiting_share"] - ready["waiting_share"]))
    assert f"{for_input:.1f}" in printed
    assert (round_["steps"], round_["images"], len(round_["waits"])) == (9, 3 * COUNT, 8)
    assert round_["seconds"] > 9 * result["step_seconds"]
    waited = sum(round_["waits"]) / round_["seconds"]
    assert waited <= round_["waiting_share"] < 1
    assert 0 < round_["in_calls_share"] <= round_["waiting_share"]
    assert f"{100 * round_['waiting_share']:.1f}" in printed


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "tensorflow", "torch"])
def test_overlap_measures_keras_fit_on_each_backend(data, backend):
    for needed in ("keras", backend):
        pytest.importorskip(needed, exc_type=ImportError)
    status, printed, result = run(
        "bench_overlap.py", data, "--backends", backend, "--peers", "all", "--epochs", "2"
    )
    assert status == 0, printed
    loops = ("plain", f"fit on {backend}")
    assert list(result["raw"]) == [
        f"{peer}, {loop}" for loop in loops for peer in ("ready", *PEERS)
    ]
    for label, (round_,) in result["raw"].items():
        assert round_["steps"] == 6
        assert round_["images"] == 2 * COUNT or label.startswith("ready")
        assert 0 < round_["waiting_share"] < 1
        from_another_thread = "tensorflow" in label
        assert (round_["in_calls_share"] is None) == from_another_thread


def test_overlap_skips_a_backend_that_is_missing_with_the_reason(data):
    (data.parent / "torch.py").write_text("raise ImportError('none for this test')")
    status, printed, result = run(
        "bench_overlap.py", data, "--backends", "torch", "--peers", "pyloader"
    )
    assert status == 0, printed
    assert "none for this test" in result["skipped"]["pyloader, fit on torch"]
    assert list(result["raw"]) == ["ready, plain", "pyloader, plain"]


def test_overlap_finds_out_who_delivers_the_wrong_pictures(data):
    (data.parent / "sitecustomize.py").write_text(
        "import pyloader\n"
        "next_batch = pyloader.DirectoryIterator.next\n"
        "def turned(self):\n"
        "    x, y = next_batch(self)\n"
        "    return x[:, ::-1], y\n"
        "pyloader.DirectoryIterator.next = turned\n"
    )
    status, printed, _ = overlap(data, "--peers", "pyloader")
    assert status == 1
    assert "WRONG pyloader, plain, round 1: pixel_sum is" in printed


def test_gpu_handoff_says_why_there_is_nothing_to_measure(data):
    (data.parent / "torch.py").write_text("raise ImportError('none for this test')")
    environment = {**os.environ, "PYTHONPATH": str(data.parent)}
    done = subprocess.run(
        [
            sys.executable,
            str(BENCH / "gpu_handoff.py"),
            "--data",
            str(data),
        ],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert done.returncode == 2
    assert "nothing to measure: none for this test" in done.stderr

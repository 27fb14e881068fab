"""The scoreboard's environments, its tables and chart in a page, and how two results compare."""

import copy
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import compare, publish, scoreboard
from bench.environments import ENVIRONMENTS, Environment, Environments, NotInstalled
from bench.peers.catalog import PEERS

ROOT = Path(__file__).resolve().parent.parent


def made_up_package(folder: Path, name: str) -> str:
    """Writes a wheel that pip installs without any index; returns its path."""
    wheel = folder / f"{name}-7.1-py3-none-any.whl"
    about = f"{name}-7.1.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(f"{name}.py", "")
        archive.writestr(
            f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 7.1\n"
        )
        archive.writestr(
            f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{about}/RECORD", "")
    return str(wheel)


def test_every_peer_of_the_catalog_has_an_environment_that_exists() -> None:
    needed = {entry.environment for entry in PEERS.values()} - {None}
    assert needed == set(ENVIRONMENTS)


def test_an_environment_is_made_once_and_found_again(tmp_path: Path) -> None:
    package = made_up_package(tmp_path, "madeup")
    known = {"one": Environment((("--no-index", package),), ("madeup",))}
    said: list[str] = []
    first = Environments(tmp_path / "environments", said.append, known).interpreter("one")
    assert first.versions == {"madeup": "7.1"}
    assert Path(first.path).exists()
    assert len(said) == 1
    again = Environments(tmp_path / "environments", said.append, known).interpreter("one")
    assert again == first
    assert len(said) == 1


def test_an_installation_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    known = {"slow": Environment((), ())}
    environments = Environments(tmp_path, lambda _: None, known, install_seconds=0.001)
    with pytest.raises(NotInstalled, match=r"not installed within 0.001 s"):
        environments.interpreter("slow")


def test_a_peer_whose_environment_cannot_be_made_is_skipped_with_the_reason(
    tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    steps = (("--no-index", "no-such-package-anywhere"),)
    monkeypatch.setitem(ENVIRONMENTS, "dali", Environment(steps, ()))
    path = tmp_path / "result.json"
    status = scoreboard.main(
        [
            *("--data", str(pictures), "--size", "16", "--rounds", "1", "--threads", "1"),
            *(
                "--peers",
                "pyloader,dali,dali-antialias",
                "--experiments",
                "warm",
                "--json",
                str(path),
            ),
            *("--environments", str(tmp_path / "environments")),
        ]
    )
    assert status == 0
    warm = json.loads(path.read_text())["experiments"]["warm"]
    assert list(warm["peers"]) == ["pyloader"]
    reason = "cannot be installed: ERROR: No matching distribution found for no-such-package"
    assert list(warm["skipped"]) == ["dali", "dali-antialias"]
    assert all(said.startswith(reason) for said in warm["skipped"].values())
    printed = capsys.readouterr()
    assert f"dali skipped: {reason}" in printed.out
    assert printed.err.count("making the environment") == 1  # the second one asks no pip again


def test_names_that_no_peer_has_are_refused(pictures: Path, capsys: Any) -> None:
    with pytest.raises(SystemExit):
        scoreboard.main(["--data", str(pictures), "--peers", "pyloader,pilow"])
    assert "Received: pilow" in capsys.readouterr().err


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A class folder of three pictures."""
    from PIL import Image

    folder = tmp_path / "pictures" / "class"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(3)
    for number in range(3):
        pixels = np.full((40, 30, 3), rng.integers(0, 256, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder.parent


def figures(rate: float, psnr: float | None = None, *, correct: bool = True) -> dict[str, Any]:
    """A peer's summary as scoreboard.as_json writes it."""
    spread = {"median": rate, "min": rate - 10, "max": rate + 10}
    return {
        "images_per_second": spread,
        "ratio_to_reference": 1.0,
        "cpu_ms_per_image": {"median": 2000 / rate, "min": 1000 / rate, "max": 3000 / rate},
        "batch_ms_p50": 10.0,
        "batch_ms_p99": 31.4,
        "first_batch_seconds": 0.26,
        "prepare_seconds": 0.0,
        "peak_megabytes": 70.2,
        "images_checked": 16,
        "max_difference": 0.0 if psnr is None else 9.0,
        "mean_difference": 0.0 if psnr is None else 1.0,
        "mean_square_difference": 0.0,
        "psnr": psnr,
        "correct": correct,
    }


def raw(*rates: float) -> dict[str, Any]:
    """A peer's epochs of 100 images at these rates on two cores."""
    epochs = [{"images": 100, "seconds": 100 / r, "cpu_seconds": 200 / r} for r in rates]
    return {"epochs": epochs, "problems": []}


@pytest.fixture
def result() -> dict[str, Any]:
    """A result of three peers, one of them wrong, and one that was skipped."""
    settings = {
        **{"height": 64, "width": 48, "batch_size": 32, "threads": 2, "dtype": "uint8"},
        **{"interpolation": "bilinear", "seed": 1, "directory": "pictures"},
    }
    warm = {
        "reference": "pyloader",
        "summary": {
            "simplejpeg": figures(1000, 36.5),
            "pyloader": figures(1500),
            "torch": figures(9000, correct=False),
        },
        "peers": {
            "simplejpeg": raw(1000, 500, 2000),
            "pyloader": raw(1500, 750, 3000),
            "torch": {"epochs": [], "problems": ["round 1: delivered 8 of 10 images"]},
        },
        "skipped": {"ffcv": "cannot be installed: ERROR: no OpenCV"},
    }
    return {
        "benchmark": "scoreboard",
        "title": "Pictures",
        "date": "2026-01-31",
        "machine": {"processor": "A processor", "usable_cores": 2, "python": "CPython 3.11.7"},
        "settings": settings,
        "files": 1234,
        "rounds": 3,
        "experiments": {"warm": warm},
    }


def test_the_table_has_correct_peers_the_fastest_first_and_says_who_is_missing(result) -> None:
    result["experiments"]["cold"] = {"summary": {"pyloader": figures(700)}, "skipped": {}}
    lines = publish.tables([result]).splitlines()
    rows = [line for line in lines if line.startswith("|")][2:]
    assert [row.split(" | ")[:4] for row in rows] == [
        ["| **pyloader**", "1500 [1490 .. 1510]", "700", "1.33"],
        ["| simplejpeg + OpenCV, thread pool", "1000 [990 .. 1010]", "-", "2.00"],
    ]
    assert [row.split(" | ")[7] for row in rows] == ["exact", "36.5"]
    assert {row.count("|") for row in lines if row.startswith("|")} == {10}
    text = "\n".join(lines)
    assert "1,234 files to 64 x 48" in text
    assert "FFCV, JPEGs in its own file (warm): cannot be installed: ERROR: no OpenCV" in text
    assert "(warm): wrong, round 1: delivered 8 of 10 images" in text


def test_each_set_of_pictures_has_a_section(result) -> None:
    text = publish.tables([result, {**result, "title": "Others"}])
    titles = [line for line in text.splitlines() if line.startswith("#")]
    assert titles == ["### Pictures", "### Others"]


def test_a_page_keeps_everything_outside_its_markers(result, tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    pytest.importorskip("matplotlib")
    report, source = tmp_path / "RESULTS.md", tmp_path / "result.json"
    chart = tmp_path / "results" / "chart.png"
    before, after = "# Title\n\nbefore\n\n", "\n\nafter | text\n"
    report.write_text(f"{before}{publish.BEGIN}\nold figures\n{publish.END}{after}")
    source.write_text(json.dumps(result))
    command = [str(source), "--chart", str(chart), "--report", str(report)]
    assert publish.main(command) == 0
    first = report.read_text()
    assert first.startswith(before + publish.BEGIN)
    assert first.endswith(publish.END + after)
    assert "old figures" not in first
    assert "](results/chart.png)" in first
    assert "**pyloader**" in first
    with image.open(chart) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    assert (pixels[[0, -1]] == 255).all()  # a light ground of its own
    ours = (pixels == (0x0B, 0x6E, 0x4F)).all(axis=2).sum()
    others = (pixels == (0x9A, 0xA5, 0xB1)).all(axis=2).sum()
    assert min(ours, others) > 1000
    assert publish.main(command) == 0
    assert report.read_text() == first


@pytest.mark.parametrize(
    "text",
    [
        "no markers",
        publish.BEGIN,
        f"{publish.END} {publish.BEGIN}",
        2 * f"{publish.BEGIN} {publish.END}",
    ],
)
def test_a_page_without_its_two_markers_is_left_alone(result, tmp_path: Path, text: str) -> None:
    pytest.importorskip("matplotlib")
    report, chart = tmp_path / "RESULTS.md", tmp_path / "chart.png"
    report.write_text(text)
    with pytest.raises(publish.NoMarkers):
        publish.publish([result], chart, report)
    assert report.read_text() == text
    assert not chart.exists()


@pytest.mark.parametrize(
    ("factor", "tolerance", "status"),
    [(1.0, "0.05", 0), (0.96, "0.05", 0), (0.94, "0.05", 1), (0.94, "0.1", 0), (1.5, "0", 0)],
)
def test_a_slower_pyloader_is_told_from_a_slower_machine(
    result, tmp_path: Path, capsys: Any, factor: float, tolerance: str, status: int
) -> None:
    later = copy.deepcopy(result)
    later["machine"]["processor"] = "Half as fast"
    peers = later["experiments"]["warm"]["peers"]
    peers["simplejpeg"] = raw(500, 250, 1000)
    peers["pyloader"] = raw(750 * factor, 375 * factor, 1500 * factor)
    paths = [tmp_path / "old.json", tmp_path / "new.json"]
    for path, content in zip(paths, (result, later), strict=True):
        path.write_text(json.dumps(content))
    assert compare.main([*map(str, paths), "--tolerance", tolerance]) == status
    printed = capsys.readouterr().out
    assert f"{factor:.3f}" in printed
    assert ("SLOWER" in printed) == bool(status)


def test_a_pyloader_that_is_wrong_or_missing_is_a_regression(result) -> None:
    later = copy.deepcopy(result)
    later["experiments"]["warm"]["peers"]["pyloader"]["problems"] = ["round 2: wrong"]
    (change,) = compare.compare(result, later)
    assert change.new is None
    assert change.is_regression(0.5)


def test_another_peer_that_is_slower_is_none(result) -> None:
    warm = result["experiments"]["warm"]["peers"]
    warm["torch"] = raw(800, 400, 1600)
    later = copy.deepcopy(result)
    later["experiments"]["warm"]["peers"]["torch"] = raw(80, 40, 160)
    changes = {change.peer: change for change in compare.compare(result, later)}
    assert changes["torch"].ratio == pytest.approx(0.1)
    assert changes["torch"].cpu == pytest.approx(10)
    assert not any(change.is_regression(0.05) for change in changes.values())


def test_results_of_different_jobs_are_not_compared(result, tmp_path: Path, capsys: Any) -> None:
    later = copy.deepcopy(result)
    later["settings"]["threads"] = 4
    paths = [tmp_path / "old.json", tmp_path / "new.json"]
    for path, content in zip(paths, (result, later), strict=True):
        path.write_text(json.dumps(content))
    assert compare.main([*map(str, paths)]) == 2
    assert "threads differ" in capsys.readouterr().err
    assert compare.main([str(paths[0]), str(paths[0]), "--reference", "dali"]) == 2
    assert "no experiment has dali" in capsys.readouterr().err


def test_no_peer_but_pyloader_imports_it() -> None:
    """Their environments have not got it; they import what they share with it from bench."""
    program = (
        "import sys\n"
        "sys.modules['pyloader'] = None\n"  # from now on an ImportError
        "import bench.worker\n"
        "from bench.peers.catalog import load_peer\n"
        "for name in ('simplejpeg', 'opencv', 'pillow'): load_peer(name)\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)

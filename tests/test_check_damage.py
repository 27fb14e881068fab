"""The comparison over damaged pictures counts what happens, a dead process too."""

from __future__ import annotations

import io
import itertools
import json
import os
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bench import check_damage
from bench.damage import KINDS, damage, segments


@pytest.fixture
def pictures(class_folders: Path) -> list[Path]:
    return sorted(class_folders.rglob("*.jpg"))


def test_every_kind_of_damage_does_some_and_is_the_same_every_time(pictures: list[Path]) -> None:
    changed: Counter[str] = Counter()
    for number in range(20 * len(KINDS)):
        kind, content = check_damage.damaged_file(pictures, 1, number)
        assert (kind, content) == check_damage.damaged_file(pictures, 1, number)
        changed[kind] += all(content != path.read_bytes() for path in pictures)
    assert set(changed) == set(KINDS)
    assert min(changed.values()) >= 15


@pytest.mark.parametrize("kind", KINDS)
def test_damage_takes_any_content(kind: str) -> None:
    random = Random(2)
    for content in (b"\xff", b"\xff\xd8\xff", b"\xff\xd8\xff\xe0\x00", bytes(300)):
        for _ in range(30):
            assert isinstance(damage(random, kind, content, b"\xff\xd8"), bytes)


def test_segments_are_those_of_the_header(pictures: list[Path]) -> None:
    content = pictures[0].read_bytes()
    found = segments(content)
    assert found[0][0] == 2
    assert all(end == begin for (_, end), (begin, _) in itertools.pairwise(found))
    assert [content[begin] for begin, _ in found] == [0xFF] * len(found)
    assert content[found[-1][0] + 1] == 0xDA


def test_both_agree_on_damaged_pictures(
    class_folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = tmp_path / "result.json"
    command = ["--data", str(class_folders), "--count", "330", "--json", str(result)]
    assert check_damage.main(command) == 0, capsys.readouterr().out
    figures = json.loads(result.read_text())
    assert figures["files"] == sum(figures["total"].values()) == 330
    # Both verdicts come up, or nothing is compared.
    assert figures["total"]["same pixels"] > 60
    assert figures["total"]["both refuse"] > 60
    assert figures["total"].get("other pixels", 0) <= 3


class Deadly(type(Path())):  # type: ignore[misc]
    def read_bytes(self) -> bytes:
        if self.name == "deadly":
            os._exit(3)
        return super().read_bytes()  # type: ignore[no-any-return]


def test_a_file_that_ends_its_process_is_a_crash_and_the_others_go_on(pictures: list[Path]) -> None:
    paths = [Deadly(pictures[0]), Deadly("deadly")]
    verdicts = list(check_damage.run(paths, 1, 12, 2))
    assert sorted(verdict.number for verdict in verdicts) == list(range(12))
    crashes = [verdict for verdict in verdicts if verdict.outcome == "crash"]
    assert {verdict.words for verdict in crashes} == {"exit status 3"}
    assert 0 < len(crashes) < 12


@pytest.mark.parametrize(
    ("error", "outcome"), [(None, "same pixels"), (ValueError("bug"), "another exception")]
)
def test_only_an_image_error_is_a_verdict(
    pictures: list[Path], monkeypatch: pytest.MonkeyPatch, error: Exception | None, outcome: str
) -> None:
    def broken(content: bytes) -> Any:
        raise error  # type: ignore[misc]

    if error is not None:
        monkeypatch.setattr(check_damage, "load_img", broken)
    assert check_damage.compare(pictures[0].read_bytes())[0] == outcome


def test_other_pixels_and_other_verdicts_are_told_apart(
    pictures: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    content = pictures[0].read_bytes()
    right = np.asarray(Image.open(io.BytesIO(content)))
    monkeypatch.setattr(check_damage, "load_img", lambda content: right ^ 1)
    assert check_damage.compare(content)[0] == "other pixels"
    assert check_damage.compare(content[:50])[0] == "only pyloader"
    monkeypatch.undo()
    monkeypatch.setattr(check_damage, "with_pillow", lambda content: right)
    assert check_damage.compare(content[:50])[0] == "only Pillow"

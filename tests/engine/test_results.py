"""Result.save: whole files or none, under the name that was asked for."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from onnxray.engine.results import Result
from onnxray.importers.errors import InputError


@dataclass(frozen=True)
class Table(Result):
    name: str
    values: np.ndarray


TABLE = Table("few", np.arange(3.0))


@pytest.mark.parametrize(("name", "stem"), [("a", "a"), ("a.npz", "a"), ("a.json", "a"), ("run.v1", "run.v1")])
def test_names(name: str, stem: str, tmp_path: Path) -> None:
    TABLE.save(tmp_path / name)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{stem}.json", f"{stem}.npz"]
    assert json.loads((tmp_path / f"{stem}.json").read_text()) == {"name": "few", "values": [0, 1, 2]}
    with np.load(tmp_path / f"{stem}.npz") as stored:
        np.testing.assert_array_equal(stored["values"], TABLE.values)


def test_nothing_is_left_of_a_failed_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(file: object, **arrays: np.ndarray) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(InputError, match=r"cannot write .*a\.npz \(No space left on device\)"):
        TABLE.save(tmp_path / "a")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot write"):
        TABLE.save(tmp_path / "none" / "a")

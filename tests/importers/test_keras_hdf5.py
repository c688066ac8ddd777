"""Our reading of HDF5 against h5py's: types, layouts, filters, groups of any size; what it lacks is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from onnxray.importers.errors import InputError
from onnxray.importers.keras.hdf5 import Hdf5, open_hdf5
from tiny_keras import noise


def opened(path: Path) -> Any:
    return open_hdf5(path, path.name)


KINDS = ("<f2", "<f4", "<f8", ">f4", ">f8", "<i1", "<i4", ">i8", "<u1", "<u2", "<u8", "?")
STORED: dict[str, dict[str, Any]] = {
    "plain": {},
    "chunks": {"chunks": (3, 2, 4)},
    "one chunk larger than the array": {"chunks": (8, 8, 8), "maxshape": (None, None, None)},
    "gzip": {"chunks": (4, 5, 2), "compression": "gzip"},
    "all filters": {"chunks": (2, 5, 3), "compression": "gzip", "shuffle": True, "fletcher32": True},
    "shuffled": {"chunks": (5, 1, 6), "shuffle": True},
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", STORED)
def test_arrays(how: str, kind: str, tmp_path: Path) -> None:
    drawn = noise(7, 5, 6) * 50
    value = (np.abs(drawn) if "u" in kind else drawn).astype(kind)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", data=value, **STORED[how])
    with opened(tmp_path / "a.h5") as file:
        np.testing.assert_array_equal(file.read("x"), value.astype(np.float32))


@pytest.mark.parametrize("shape", [(), (1,), (0,), (3, 0, 2), (2, 1, 1, 1, 2)])
def test_shapes(shape: tuple[int, ...], tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = np.ones(shape, np.float32)
    with opened(tmp_path / "a.h5") as file:
        assert file.read("x").shape == shape


def test_an_array_inside_its_header_and_blocks_that_were_never_written(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        layout = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        layout.set_layout(h5py.h5d.COMPACT)
        array = h5py.h5d.create(file.id, b"x", h5py.h5t.NATIVE_FLOAT, h5py.h5s.create_simple((5,)), layout)
        array.write(h5py.h5s.ALL, h5py.h5s.ALL, np.arange(5, dtype=np.float32))
        file.create_dataset("y", (6, 6), "f4", chunks=(2, 2))[2:4, 2:4] = 1
        file.create_dataset("z", (6, 6), "f4")
    with opened(tmp_path / "a.h5") as file:
        assert file.read("x").tolist() == [0, 1, 2, 3, 4]
        assert file.read("y").sum() == 4 and file.read("y")[2:4, 2:4].all()
        with pytest.raises(InputError, match="has never been written"):
            file.read("z")


def test_groups_and_attributes_of_any_size(tmp_path: Path) -> None:
    """A thousand members in a group, names of any length, a few of any script, text of every form."""
    names = [f"layer_{index}_{'x' * (index % 40)}" for index in range(1000)]
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.attrs["config"] = "ü" * 300_000
        file.attrs["bytes"] = b"text"
        file.attrs["fixed"] = np.bytes_(b"text")
        file.attrs["number"] = 7
        group = file.create_group("g/h")
        group.attrs["names"] = [name.encode() for name in names[:500]]
        group.attrs["texts"] = np.array(names[:50], dtype=h5py.string_dtype())
        file["größe/é"] = np.float32(1)
        group.attrs["none"] = np.array([], "S1")
        for index, name in enumerate(names):
            group[name] = np.float32(index)
    with opened(tmp_path / "a.h5") as file:
        assert file.text("config") == "ü" * 300_000 and file.text("bytes") == file.text("fixed") == "text"
        assert file.text("number") is None and file.text("missing") is None
        assert file.names("g/h", "names") == names[:500] and file.names("g/h", "texts") == names[:50]
        assert file.names("g/h", "none") == [] and file.names("g", "names") is None
        assert [float(file.read(f"g/h/{name}")) for name in names] == list(range(1000))
        assert file.read("größe/é") == 1
        assert len(file.arrays_in("g/h")) == 1000 and file.has_group("g") and not file.has_group("h")


def test_numbers_come_in_their_order(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for index in range(12):
            file[f"vars/{index}"] = np.float32(index)
    with opened(tmp_path / "a.h5") as file:
        assert file.arrays_in("vars") == [f"vars/{index}" for index in range(12)]


@pytest.mark.parametrize("members", [3, 30])
def test_the_newer_form_is_read_or_named(members: int, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w", libver="latest") as file:
        for index in range(members):
            file[f"x{index}"] = np.full(4, index, np.float32)
    if members > 8:
        with (
            pytest.raises(InputError, match="in a form of HDF5 that is not read"),
            opened(tmp_path / "a.h5"),
        ):
            pass
        return
    with opened(tmp_path / "a.h5") as file:
        assert [file.read(f"x{index}").tolist() for index in range(members)] == [
            [index] * 4 for index in range(members)
        ]


def test_what_is_no_hdf5(tmp_path: Path) -> None:
    for content in (b"", b"\x89HDF\r\n\x1a\n", b"\x89HDF\r\n\x1a\n" + b"\xff" * 200):
        with pytest.raises(InputError, match="truncated or damaged"):
            Hdf5(memoryview(content), "x.h5")


def test_parts_that_refer_to_each_other_end(tmp_path: Path) -> None:
    """A tree whose node names itself as its child, and a header that goes on in itself."""
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        for index in range(100):
            file[f"g/x{index}"] = np.float32(0)
    whole = path.read_bytes()
    trees = [at for at in range(len(whole) - 4) if whole[at : at + 4] == b"TREE"]
    for at in trees:
        broken = bytearray(whole)
        broken[at + 5] = 1  # a level above the leaves
        broken[at + 6 : at + 8] = b"\x01\x00"
        broken[at + 32 : at + 40] = at.to_bytes(8, "little")
        with pytest.raises(InputError, match="truncated or damaged"):
            Hdf5(memoryview(bytes(broken)), "x.h5")

"""What units answer to: which images and places are chosen, against loops; what is said of silent units; bad input."""

from __future__ import annotations

from typing import Any

import explained_networks
import numpy as np
import pytest
from onnxray.engine.backward.mirror import mirror
from onnxray.engine.backward.projections import projections
from onnxray.engine.methods.attribution import Stop
from onnxray.engine.model import Model
from onnxray.engine.render.projection_sheet import projection_sheet
from onnxray.importers.errors import InputError

PICTURES = explained_networks.PICTURES


@pytest.fixture
def model() -> Model:
    """Unit 2 of relu1 never rises above 0."""
    made = explained_networks.network()
    for tensor in made.proto.graph.initializer:
        if tensor.name == "conv1_b":
            values = np.frombuffer(tensor.raw_data, np.float32).copy()
            values[2] = -1e6
            tensor.raw_data = values.tobytes()
    changed = Model(made.proto, made.path)
    changed.spec = made.spec
    return changed


@pytest.mark.parametrize("memory", [None, "1GB"])
def test_the_strongest_places_of_every_unit(model: Model, memory: str | None) -> None:
    found = projections(model, PICTURES, "relu1", units="all", images_per_unit=2, memory=memory)
    values = explained_networks.values(model, explained_networks.inputs(model), "relu1")
    assert found.silent == (2,) and found.units == (0, 0, 1, 1, 3, 3)
    back, rows = mirror(model, "relu1"), iter(range(len(found.units)))
    for unit in (0, 1, 3):
        order = np.argsort(-values[:, unit].max((1, 2)))[:2]
        for image, row in zip(order, rows, strict=False):
            place = np.unravel_index(values[image, unit].argmax(), (6, 7))
            assert tuple(found.places[row]) == place
            assert found.activations[row] == pytest.approx(values[image, unit].max(), rel=1e-6)
            assert np.array_equal(found.pictures[found.picture_of[row]], PICTURES[image])
            units = np.zeros((1, 4, 6, 7), np.float32)
            units[(0, unit, *place)] = 1
            batch = explained_networks.inputs(model)[image : image + 1]
            expected = back.backward(units, back.forward(batch)[1])[0, ::-1]  # the network takes BGR
            np.testing.assert_allclose(found.maps[row], expected, atol=1e-6 * np.abs(expected).max())
            top, left, bottom, right = found.boxes[row]
            outside = found.maps[row].copy()
            outside[:, top:bottom, left:right] = 0
            assert not outside.any() and (bottom - top) * (right - left) <= 9
    assert projection_sheet(found, "units").size[0] >= 3 * 112


def test_the_highest_units_come_first(model: Model) -> None:
    values = explained_networks.values(model, explained_networks.inputs(model), "conv2")
    found = projections(model, PICTURES, "conv2", images_per_unit=1)
    alive = [unit for unit in np.argsort(-values.max((0, 2, 3))) if values[:, unit].max() > 0]
    assert list(found.units) == alive and len(alive) > 2
    assert projections(model, PICTURES, "conv2", units=[3, 1, 3], images_per_unit=1).units == (3, 1)


def test_told_to_stop_it_keeps_what_is_done(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onnxray.engine.backward.projections._AT_ONCE", 1)

    def progress(done: float, total: int) -> None:
        if total == 6 and done == 2:
            raise Stop

    whole = projections(model, PICTURES, "relu1", units="all", images_per_unit=2)
    found = projections(model, PICTURES, "relu1", units="all", images_per_unit=2, progress=progress)
    assert found.stopped == "stopped after 2 of 6 pictures" and len(found.maps) == 2
    for row, (unit, image) in enumerate(zip(found.units, found.images, strict=True)):
        same = list(zip(whole.units, whole.images, strict=True)).index((unit, image))
        assert np.array_equal(found.maps[row], whole.maps[same])


SEVERAL_LAYOUTS = """
<ir_version: 8, opset_import: ["" : 17]>
turned (float[N, 3, 6, 7] image) => (float[N, 5] logits)
<float[4, 3, 3, 3] w, float[4, 5] dense>
{
    conv = Conv <pads = [1, 1, 1, 1]> (image, w)
    active = RECTIFIER (conv)
    last = Transpose <perm = [0, 2, 3, 1]> (active)
    mixed = MatMul (last, dense)
    units = Relu (mixed)
    columns = ReduceMax <axes = [1], keepdims = 0> (units)
    logits = ReduceMax <axes = [1], keepdims = 0> (columns)
}
"""


@pytest.mark.parametrize(("layer", "places"), [("units", True), ("logits", False)])
def test_channels_last_and_units_without_a_place(layer: str, places: bool) -> None:
    model = explained_networks.network(SEVERAL_LAYOUTS.replace("RECTIFIER", "Relu"))
    found = projections(model, PICTURES, layer, units="all", images_per_unit=1)
    values, back = explained_networks.values(model, explained_networks.inputs(model), layer), mirror(model, layer)
    assert found.units == tuple(unit for unit in range(5) if values[..., unit].max() > 0) and len(found.units) > 2
    for row, unit in enumerate(found.units):
        index = np.unravel_index(values[..., unit].argmax(), values.shape[:-1])
        assert np.array_equal(found.pictures[found.picture_of[row]], PICTURES[index[0]])
        assert tuple(found.places[row]) == (index[1:] if places else (0, 0))
        units = np.zeros((1, *values.shape[1:]), np.float32)
        units[(0, *index[1:], unit)] = 1
        batch = explained_networks.inputs(model)[index[0] : index[0] + 1]
        expected = back.backward(units, back.forward(batch)[1])[0, ::-1]
        np.testing.assert_allclose(found.maps[row], expected, atol=1e-6 * np.abs(expected).max())
        top, left, bottom, right = found.boxes[row]
        assert (bottom - top, right - left) == (6, 7) or (places and (bottom - top) * (right - left) <= 9)


def test_what_is_neither_a_map_nor_units() -> None:
    model = explained_networks.network(SEVERAL_LAYOUTS.replace("RECTIFIER", "Relu"))
    with pytest.raises(InputError, match=r"expected a feature map .* or units \[N, C\], columns is \[1, 7, 5\]"):
        projections(model, PICTURES, "columns")


@pytest.mark.parametrize(
    ("rectifier", "layer", "notes"),
    [
        ("Relu", "units", ["no MaxPool lies before"]),
        ("Elu", "units", ["no MaxPool lies before", "Elu let negative values pass forward; back, only what is"]),
        ("Elu", "conv", ["no MaxPool lies before", "no ReLU or its like lies before the layer"]),
    ],
)
def test_what_the_way_back_does_is_said(rectifier: str, layer: str, notes: list[str]) -> None:
    model = explained_networks.network(SEVERAL_LAYOUTS.replace("RECTIFIER", rectifier))
    found = projections(model, PICTURES, layer, images_per_unit=1).notes
    assert len(found) == len(notes) and all(map(str.startswith, found, notes))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layer": "relu9"}, "the network has no layer 'relu9'; did you mean"),
        ({"layer": "relu1", "units": [4]}, r"units expects top9, all or numbers from 0 to 3, found \[4\]"),
        ({"layer": "relu1", "units": "some"}, "units expects top9, all or numbers from 0 to 3, found 'some'"),
    ],
)
def test_one_line_for_what_cannot_be(model: Model, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as raised:
        projections(model, PICTURES, **options)
    assert "\n" not in str(raised.value)

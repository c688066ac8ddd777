"""Random TensorFlow Lite networks against Google's interpreter: equal, or refused by name.

ONNXRAY_CASES=2000 draws more than a test run does; ONNXRAY_SEED elsewhere.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from litert_batch import run_batch
from onnxray.importers.certificate import BAR, compare_arrays, run_onnx
from onnxray.importers.channels_last import channels_first, to_last
from onnxray.importers.errors import InputError
from onnxray.importers.tflite.oracle import stored
from onnxray.importers.tflite.reader import Network, read_network
from onnxray.importers.tflite.translate import translate
from tflite_cases import FAMILIES, Net, draw
from tflite_movement_cases import MOVEMENTS
from tflite_quantised_cases import draw_quantised
from tflite_sequence_cases import SEQUENCES

COUNT = int(os.environ.get("ONNXRAY_CASES", "50"))
SEED = int(os.environ.get("ONNXRAY_SEED", "0"))

pytest.importorskip("ai_edge_litert") if not os.environ.get("CI") else None


def feeds_for(net: Net, network: Network) -> dict[str, np.ndarray]:
    """A value each input can have, as the file stores it."""
    values = {}
    for name in network.inputs:
        tensor = network.tensors[name]
        if tensor.type == "BOOL":
            values[name] = net.random.integers(0, 2, tensor.shape).astype(bool)
        elif tensor.is_quantised:
            bits = np.iinfo(tensor.type.lower())
            values[name] = net.random.integers(bits.min, bits.max + 1, tensor.shape).astype(tensor.type.lower())
        elif tensor.type.startswith("INT"):
            values[name] = net.random.integers(-3, 4, tensor.shape).astype(np.int32)
        else:
            values[name] = (2 * net.random.normal(size=tensor.shape)).astype(np.float32)
    return values


def run_ours(network: Network, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Outputs in the file's order of axes, of values in the graph's."""
    proto, first = translate(network, {})
    entered = {}
    for name, value in feeds.items():
        steps = network.tensors[name].quantisation
        real = value if steps is None else steps.real(value)
        entered[name] = channels_first(real) if name in first else real
    names = [value.name for value in proto.graph.output]
    found = run_onnx(proto, {value.name: entered[value.name] for value in proto.graph.input}, names)
    return [found[name].transpose(to_last(4)) if name in first else found[name] for name in names]


def disagreement(network: Network, name: str, theirs: np.ndarray, ours: np.ndarray) -> str:
    """Why two versions of an output are not the same, or nothing."""
    tensor = network.tensors[name]
    if theirs.shape != ours.shape:
        return f"shapes {theirs.shape} {ours.shape}"
    if tensor.is_quantised:
        apart = np.abs(theirs.astype(int) - stored(ours, tensor).astype(int)).max(initial=0)
        return f"{apart} steps apart" if apart > 1 else ""
    if not tensor.type.startswith("FLOAT"):
        return "" if np.array_equal(theirs, ours) else "not equal"
    row = compare_arrays(name, theirs, ours)
    step = max(
        (float(other.quantisation.scale[0]) for other in network.tensors.values() if other.is_quantised), default=0
    )
    return (
        ""
        if row.relative <= BAR or row.difference <= max(1e-6, 1.001 * step)
        else f"{row.relative:.2g} of its range apart"
    )


def check(folder: Path, drawn: list[tuple[Net, str]]) -> tuple[Counter[str], list[str]]:
    """Counts of equal and refused, and a line for each that is neither."""
    inputs = []
    for number, (net, _) in enumerate(drawn):
        path = folder / f"{number}.tflite"
        path.write_bytes(net.bytes())
        feeds = feeds_for(net, read_network(path))
        np.savez(folder / f"{number}.npz", *feeds.values())
        inputs.append(feeds)
    counts: Counter[str] = Counter()
    wrong = []
    for number, ((_, family), theirs) in enumerate(zip(drawn, run_batch(folder, len(drawn)), strict=True)):
        network = read_network(folder / f"{number}.tflite")
        what = f"{number} {family} {[operator.kind for operator in network.operators]}"
        if isinstance(theirs, str):
            counts["not run by LiteRT"] += 1
            print(f"{what}: LiteRT: {theirs}")
            continue
        try:
            ours = run_ours(network, inputs[number])
        except InputError as error:
            counts["refused"] += 1
            print(f"{what}: {error}")
            continue
        reasons = [disagreement(network, *three) for three in zip(network.outputs, theirs, ours, strict=True)]
        counts["equal" if not any(reasons) else "wrong"] += 1
        if any(reasons):
            wrong.append(f"{what}: {'; '.join(filter(None, reasons))}")
    return counts, wrong


@pytest.mark.parametrize("what", ["computing", "moving", "sequences", "quantised"])
def test_random_networks_are_the_same(tmp_path: Path, what: str) -> None:
    seeds = range(SEED, SEED + COUNT)
    if what == "quantised":
        drawn = [draw_quantised(seed) for seed in seeds]
    else:
        families = {"computing": FAMILIES, "moving": MOVEMENTS, "sequences": SEQUENCES}[what]
        drawn = [draw(seed, families) for seed in seeds]
    counts, wrong = check(tmp_path, drawn)
    print(f"{what}: {dict(counts)}")
    assert not wrong, "\n".join(wrong)
    assert counts["equal"] >= 0.9 * COUNT, counts

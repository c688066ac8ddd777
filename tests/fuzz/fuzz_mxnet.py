"""MXNet: a symbol and its parameters together, or either alone."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness import Target, main

PARTS = ("net-symbol.json", "net-0000.params")


def seeds() -> Iterator[bytes]:
    """Random operators, and one network in every version of the symbol and every form of the parameters."""
    import mxnet_cases
    from importers.test_mxnet_files import network
    from mutations import packed

    nets = [(mxnet_cases.draw(seed)[0], "1.9", 2) for seed in range(3 * len(mxnet_cases.FAMILIES))]
    nets += [(network(), version, form) for version in ("0.8", "0.9", "1.9") for form in range(4)]
    with tempfile.TemporaryDirectory() as name:
        for net, version, form in nets:
            net.state_shapes()
            net.write(Path(name), version=version, form=form)
            yield packed([(part, (Path(name) / part).read_bytes()) for part in PARTS])


def words() -> Sequence[str]:
    """Every operator, and the attributes that most of them have."""
    from onnxray.importers.mxnet.operators import operator_functions

    attributes = (
        "kernel",
        "stride",
        "pad",
        "axis",
        "axes",
        "shape",
        "num_filter",
        "num_hidden",
        "act_type",
        "__shape__",
    )
    return [
        *operator_functions(),
        *attributes,
        "null",
        "data",
        "(2, 2)",
        "(0, -1)",
        "None",
        "True",
        "-4",
        "1e40",
        "x" * 300,
    ]


TARGET = Target("mxnet", PARTS[0], seeds, words, PARTS, PARTS[0], PARTS[1])

if __name__ == "__main__":
    main(TARGET)

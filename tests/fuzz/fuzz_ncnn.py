"""NCNN: a network, text or binary, and its weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness import Target, main

PARTS = ("net.param", "net.bin")


def seeds() -> Iterator[bytes]:
    """One network a layer type and form; whole networks, detectors among them; weights in every storage."""
    from importers.test_ncnn_files import NETWORK, detectors
    from mutations import packed
    from ncnn_cases import FAMILIES, rows_of
    from tiny_ncnn import binary, text

    kinds = {case.type: case for cases in FAMILIES.values() for case in cases}
    networks = [rows_of([case]) for case in (*kinds.values(), *FAMILIES["convolutions"])]
    for number, rows in enumerate((*networks, NETWORK, *detectors())):
        network = binary(rows) if number % 3 == 2 else text(rows).encode()
        yield packed([(PARTS[0], network), (PARTS[1], b"".join(row.weights for row in rows))])


def words() -> Sequence[str]:
    """Every layer type, and what parameters are written with."""
    from onnxray.importers.ncnn.layers import layer_functions
    from onnxray.importers.ncnn.layers.detection import ENDS

    parameters = [f"{key}={value}" for key in range(22) for value in (0, 1, 3, -233, 65536)]
    lists = ("-23300=2,1,2", "-23310=1,0.5", '6="0w,-1"', '9="//(0h,2),*(1w,3)"')
    return [*layer_functions(), *ENDS, "Input", *parameters, *lists]


TARGET = Target("ncnn", PARTS[1], seeds, words, PARTS, PARTS[0], PARTS[1])

if __name__ == "__main__":
    main(TARGET)

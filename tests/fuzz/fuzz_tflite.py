"""TensorFlow Lite: FlatBuffers, by their tables and by their offsets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness import Target, main


def seeds() -> Iterator[bytes]:
    """Random operators in floats and in bytes, and a file with metadata and labels."""
    import tflite_cases
    import tflite_movement_cases
    import tiny_tflite
    from tflite_quantised_cases import draw_quantised

    yield tiny_tflite.small()
    yield tiny_tflite.quantised()
    normal = {"options_type": 1, "options": {"mean": [127.5], "std": [127.5]}}
    labels = {"name": "scores", "associated_files": [{"name": "labels.txt", "type": 2}]}
    sides = {"inputs": [{"name": "image", "process_units": [normal]}], "outputs": [labels]}
    yield tiny_tflite.small(metadata={"subgraph_metadata": [sides]}, files={"labels.txt": "cat\ndog\nemu\nfox\n"})
    for families in (tflite_cases.FAMILIES, tflite_movement_cases.MOVEMENTS):
        for seed in range(40):
            yield tflite_cases.draw(seed, families)[0].bytes()
    for seed in range(20):
        yield draw_quantised(seed)[0].bytes()


def words() -> Sequence[str]:
    """Texts are few in these files: what they name are numbers."""
    return ["", "labels.txt", "TFLITE_METADATA", "../labels.txt", "image", "x" * 300]


TARGET = Target("tflite", "net.tflite", seeds, words, options=lambda data: {"dequantize": len(data) % 8 == 4})

if __name__ == "__main__":
    main(TARGET)

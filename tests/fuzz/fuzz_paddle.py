"""PaddlePaddle: a program, older or PaddlePaddle 3's, and its weights together, or either alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness import Target, main

PARTS = ("inference.pdmodel", "inference.pdiparams")


def seeds() -> Iterator[bytes]:
    """A program an operator; the same small network in both forms."""
    import tempfile
    from pathlib import Path

    import tiny_paddle
    import tiny_pir
    from mutations import packed
    from paddle_cases import IMAGES, draw
    from paddle_movement_cases import MOVEMENTS
    from paddle_size_cases import SIZES

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for seed in range(len(IMAGES) + len(MOVEMENTS) + len(SIZES)):
            path = draw(seed)[1].write(folder, str(seed))
            weights = path.with_suffix(".pdiparams")
            held = [(PARTS[1], weights.read_bytes())] if weights.exists() else []
            yield packed([(PARTS[0], path.read_bytes()), *held])
    steps, values = tiny_paddle.small()
    stored = tiny_paddle.stored(values)
    for program in (tiny_paddle.program(steps, values, ["probabilities"]), tiny_pir.small(values)):
        yield packed([(PARTS[0], program), (PARTS[1], stored)])
        yield program
    yield stored


def words() -> Sequence[str]:
    """Every operator, and the names that they have for what they take."""
    from onnxray.importers.paddle.operators import operator_functions
    from onnxray.importers.paddle.pir import OPERATORS

    sides = {word.strip("@*;") for row in OPERATORS.values() for word in row.split() if "=" not in word}
    return [*operator_functions(), *sorted(sides), *OPERATORS, "axes", "starts", "strides", "SAME", "0.t_vec"]


TARGET = Target("paddle", PARTS[0], seeds, words, PARTS, PARTS[0])

if __name__ == "__main__":
    main(TARGET)

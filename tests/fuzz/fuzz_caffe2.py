"""Caffe2: a predict_net and an init_net together, binary or text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness import Target, main


def seeds() -> Iterator[bytes]:
    """Random operators in both orders of axes, a classifier, the text form, fills of other kinds."""
    from caffe2_cases import CASES
    from coreml_cases import Draw
    from google.protobuf import text_format
    from importers.test_caffe2 import BLOBS, OPERATORS
    from mutations import packed
    from tiny_caffe2 import init, net, operator

    def files(predict: bytes, fills: bytes) -> bytes:
        return packed([(PARTS[0], predict), (PARTS[1], fills)])

    for seed in range(4 * len(CASES)):
        case = list(CASES.values())[seed % len(CASES)](Draw(seed))
        names, made = (
            [f"{letter}{at}" for at in range(len(some))] for letter, some in (("x", case.inputs), ("y", case.outputs))
        )
        entry = operator(case.kind, ",".join(names), ",".join(made), **case.arguments)
        stored = {names[at]: value for at, value in enumerate(case.inputs)}  # of the first only its shape counts
        yield files(net([entry], made).SerializeToString(), init(stored).SerializeToString())
    whole, fills = net(OPERATORS), init(BLOBS)
    yield files(whole.SerializeToString(), fills.SerializeToString())
    yield files(text_format.MessageToString(whole).encode(), fills.SerializeToString())
    fills.op.extend([operator("ConstantFill", "", "data", shape=[1, 3, 8, 8], value=0.5)])
    yield files(whole.SerializeToString(), fills.SerializeToString())


def words() -> Sequence[str]:
    """Operators, their arguments, blobs."""
    from onnxray.importers.caffe2.operators import operator_functions

    arguments = [
        "kernel",
        "kernels",
        "stride",
        "pad",
        "pads",
        "dilation",
        "group",
        "order",
        "legacy_pad",
        "axis",
        "shape",
    ]
    more = [
        "values",
        "broadcast",
        "is_test",
        "starts",
        "ends",
        "split",
        "height_scale",
        "NHWC",
        "NCHW",
        "GivenTensorFill",
    ]
    return [*operator_functions(), *arguments, *more, "ConstantFill", "x0", "x1", "y0", "data", "w", "conv", ""]


PARTS = ("predict_net.pb", "init_net.pb")
TARGET = Target("caffe2", PARTS[0], seeds, words, PARTS, PARTS[0], PARTS[1])

if __name__ == "__main__":
    main(TARGET)

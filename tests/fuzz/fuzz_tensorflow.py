"""TensorFlow: a graph, binary or as text, or the files of a SavedModel's folder."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness import Target, main

PARTS = ("saved_model.pb", "variables/variables.index", "variables/variables.data-00000-of-00001")


def seeds() -> Iterator[bytes]:
    """Random graphs, one an operator, functions and branches, a SavedModel with a variable."""
    import tensorflow_cases
    from google.protobuf import text_format
    from importers.test_tensorflow_operators import CASES
    from mutations import packed
    from tensorflow_checkpoints import write_checkpoint
    from tensorflow_graphs import Net, call, saved, small, with_function

    yield small().bytes()
    yield text_format.MessageToString(small().message).encode()
    for seed in range(40):
        yield tensorflow_cases.draw(seed)[0].bytes()
    for write in CASES.values():
        net = Net()
        write(net)
        yield net.bytes()
    net = small()
    for name, op in (("yes", "Neg"), ("no", "Exp")):
        function = with_function(net, name, output="made:y:0")
        function.node_def.add(name="made", op=op, input=["a"]).attr.add(key="T").value.type = 1
    flag = net.node("Equal", [net.node("Rank", ["answer"], T="FLOAT32"), net.ints(2)], T="INT32")
    call(net, "StatelessIf", [flag, "answer"], "end", then_branch="yes", else_branch="no")
    yield net.bytes()
    net = small()
    (w,) = [node for node in net.message.node if node.name == "w"]
    w.op = "VarHandleOp"
    del w.attr[:]
    net.node("ReadVariableOp", ["w"], "read", dtype="FLOAT32")
    net.message.node[[node.name for node in net.message.node].index("conv")].input[1] = "read"
    with tempfile.TemporaryDirectory() as name:
        folder = saved(Path(name) / "model", net)
        write_checkpoint(folder / "variables" / "variables", {"w": net.values["w"]})
        yield packed([(part, (folder / part).read_bytes()) for part in PARTS])


def words() -> Sequence[str]:
    """Every operator, the names of their attributes, and those of the text form."""
    from onnxray.importers.tensorflow.operators import operator_functions
    from onnxray.importers.tensorflow.wire_schema import message_class

    fields = [name for kind in ("Graph", "Node", "Tensor") for name in message_class(kind).DESCRIPTOR.fields_by_name]
    more = ["T", "dtype", "value", "strides", "padding", "SAME", "VALID", "data_format", "NCHW", "x", "^x", "x:1", "w"]
    return [*operator_functions(), *fields, *more, "{", "}"]


TARGET = Target("tensorflow", "net.pb", seeds, words, PARTS)

if __name__ == "__main__":
    main(TARGET)

"""A torch module to ONNX, by whichever of torch's two exporters writes a graph that computes the same.

Runs in the sandbox. Each attempt is run by onnxruntime on seeded noise beside torch's own module, and the first that
agrees within the certificate's bar is kept: tracing a module can go wrong without any error.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper

from ..certificate import BAR, compare_arrays, run_onnx
from ..errors import InputError
from ..provenance import SEED
from . import MODEL, VALUES
from .loading import Source, WithoutNetwork, load_module
from .stored_tensors import without_network
from .symbolics import register

OPSET = 20  # the highest that both exporters write by themselves

_LARGEST = 1 << 31  # bytes of one ONNX file
_LONGEST_REASON = 160
_FAINT = 0.01  # noise of this size as well: the usual one can drive a softmax to 0 and 1 everywhere


@dataclass(frozen=True)
class Task:
    """A module, values for its inputs, and what its results are called."""

    module: torch.nn.Module
    inputs: dict[str, torch.Tensor]
    outputs: tuple[str, ...]
    program: torch.export.ExportedProgram | None = None
    batch: bool = True  # whether the first axis may be made dynamic
    expected: list[np.ndarray] = field(default_factory=list)


def export(
    folder: Path, source: dict[str, Any], shapes: dict[str, list[int]], size: list[int] | None, weights_alone: bool
) -> None:
    """Write the module of a file as MODEL; with `weights_alone` also weights without one, as a graph without nodes.

    Raises InputError when neither exporter can.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of deprecated calls, which are the only ones for some files
        try:
            module, program = load_module(Source(**source))
        except WithoutNetwork as found:
            if not weights_alone:
                raise
            (folder / MODEL).write_bytes(without_network(found.tensors))
            return
        (folder / MODEL).write_bytes(to_onnx(module, program, shapes, size))


def compute(folder: Path, source: dict[str, Any], feeds: str) -> None:
    """Write what the module of a file computes for the arrays in the file `feeds`, as VALUES."""
    with np.load(feeds) as stored:
        inputs = {name: torch.from_numpy(stored[name]) for name in stored.files}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module, _ = load_module(Source(**source))
    found = onnx.GraphProto()
    found.initializer.extend(
        numpy_helper.from_array(value.numpy(), name) for name, value in _named(_run(module, inputs))
    )
    (folder / VALUES).write_bytes(found.SerializeToString())


def to_onnx(
    module: torch.nn.Module,
    program: torch.export.ExportedProgram | None,
    shapes: Mapping[str, Sequence[int]],
    size: Sequence[int] | None = None,
) -> bytes:
    """The module as a serialised ONNX model; inputs are called as in `forward`, a batch of one is dynamic where it can.

    Raises InputError when the inputs' shapes are not known, or no exporter writes a graph that computes the same.
    """
    inputs = _program_inputs(program, shapes) if program is not None else _inputs(module, shapes, size)
    outputs = _named(_run(module, inputs))
    batch = program is None and all(value.ndim > 1 and value.shape[0] == 1 for value in inputs.values())
    task = Task(module, inputs, tuple(name for name, _ in outputs), program, batch)
    reasons = []
    for name, attempt in _attempts(task):
        try:
            written = attempt()
            apart = _difference(task, written)
        except Exception as error:  # exporters raise what they please
            reasons.append(f"{name}: {_short(error)}")
            continue
        if apart <= BAR:
            return written
        reasons.append(f"{name}: its graph is {apart:.1g} of the range away from torch")
    raise InputError(f"torch cannot write this module as ONNX ({'; '.join(dict.fromkeys(reasons))})")


def _attempts(task: Task) -> Iterator[tuple[str, Callable[[], bytes]]]:
    dynamo = find_spec("onnxscript") is not None
    if task.program is not None and dynamo:
        yield "torch.export", lambda: _by_dynamo(task)
    if task.batch:
        yield "tracing", lambda: _by_tracing(task, dynamic=True)
    yield "tracing", lambda: _by_tracing(task, dynamic=False)
    if task.program is None and dynamo:
        yield "torch.export", lambda: _by_dynamo(task)
    if not dynamo:
        yield "torch.export", _needs_onnxscript


def _needs_onnxscript() -> bytes:
    raise InputError('it needs onnxscript: pip install "onnxray[pytorch]"')


def _by_tracing(task: Task, dynamic: bool) -> bytes:
    axes = {name: {0: "batch"} for name in (*task.inputs, *task.outputs)} if dynamic else None
    register(OPSET)
    buffer = BytesIO()
    torch.onnx.export(
        _with_plain_outputs(task.module, task.inputs),
        tuple(task.inputs.values()),
        buffer,  # type: ignore[arg-type]
        input_names=list(task.inputs),
        output_names=list(task.outputs),
        dynamic_axes=axes,
        opset_version=OPSET,
        dynamo=False,
    )
    return buffer.getvalue()


def _by_dynamo(task: Task) -> bytes:
    program = task.program
    if program is None and isinstance(task.module, torch.jit.ScriptModule):
        from torch._export.converter import TS2EPConverter  # torch.onnx has no other way from TorchScript

        program = TS2EPConverter(task.module, tuple(task.inputs.values())).convert()
    written = torch.onnx.export(
        program if program is not None else task.module,
        () if program is not None else tuple(task.inputs.values()),
        input_names=list(task.inputs),
        output_names=list(task.outputs),
        opset_version=OPSET,
        dynamo=True,
        verbose=False,
    )
    assert written is not None
    return bytes(written.model_proto.SerializeToString())


class _Flat(torch.nn.Module):
    """A module whose results are one tuple of tensors."""

    def __init__(self, module: torch.nn.Module) -> None:
        super().__init__()
        self.net = module

    def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(value for _, value in _named(self.net(*inputs)))


def _with_plain_outputs(module: torch.nn.Module, inputs: Mapping[str, torch.Tensor]) -> torch.nn.Module:
    """The module itself where the exporter takes its results as they are, so that nodes keep its names."""
    result = _run(module, inputs)
    plain = isinstance(result, torch.Tensor) or (
        isinstance(result, tuple) and all(isinstance(value, torch.Tensor) for value in result)
    )
    return module if plain else _Flat(module).eval()  # torch puts it, and all in it, back into the mode it came in


def _difference(task: Task, written: bytes) -> float:
    """The largest difference of any output, in parts of its range, for noise and faint noise."""
    if len(written) >= _LARGEST:
        raise InputError("the graph takes more than 2 GiB, which one ONNX file cannot hold")
    proto = onnx.load_from_string(written)
    faint = {name: value * _FAINT if value.is_floating_point() else value for name, value in task.inputs.items()}
    both = {name: torch.cat([value, faint[name]]) for name, value in task.inputs.items()}
    batches = (task.inputs, both if _has_dynamic_batch(proto) else faint)
    return max(_apart(task, proto, inputs) for inputs in batches)


def _apart(task: Task, proto: onnx.ModelProto, inputs: Mapping[str, torch.Tensor]) -> float:
    theirs = _named(_run(task.module, inputs))
    feeds = {value.name: inputs[value.name].numpy() for value in proto.graph.input}
    ours = run_onnx(proto, feeds, [value.name for value in proto.graph.output])
    return max(
        (compare_arrays(name, value.numpy(), ours[name]).relative for name, value in theirs if name in ours),
        default=float("inf"),
    )


def _has_dynamic_batch(proto: onnx.ModelProto) -> bool:
    dims = [value.type.tensor_type.shape.dim for value in proto.graph.input]
    return all(len(dim) > 0 and not dim[0].HasField("dim_value") for dim in dims)


@torch.no_grad()
def _run(module: torch.nn.Module, inputs: Mapping[str, torch.Tensor]) -> Any:
    torch.manual_seed(SEED)
    try:
        return module(*inputs.values())
    except Exception as error:  # the module's own code
        shapes = ", ".join(f"{name}={'x'.join(map(str, value.shape))}" for name, value in inputs.items())
        raise InputError(f"the module cannot be run on {shapes} ({_short(error)}); --shape says another size") from None


def _named(result: Any, name: str = "output") -> list[tuple[str, torch.Tensor]]:
    """The tensors in what a module returned: `output`, `output_0` …, or the keys of a dictionary."""
    if isinstance(result, torch.Tensor):
        return [(name, result.detach().cpu())]
    if isinstance(result, Mapping):
        parts = [(str(key), value) for key, value in result.items()]
    elif isinstance(result, (tuple, list)):
        parts = [(f"{name}_{index}" if len(result) > 1 else name, value) for index, value in enumerate(result)]
    else:
        parts = []
    return [entry for part, value in parts for entry in _named(value, part)]


def _inputs(
    module: torch.nn.Module, shapes: Mapping[str, Sequence[int]], size: Sequence[int] | None
) -> dict[str, torch.Tensor]:
    """Seeded noise for each input. Raises InputError when it is not said how large they are."""
    names = _input_names(module)
    given = dict(shapes)
    if "" in given and len(names) == 1:
        given[names[0]] = given.pop("")
    if not given and size is not None and len(names) == 1:
        given[names[0]] = (1, _channels(module), *size)
    if set(given) != set(names):
        example = "1x3x224x224" if len(names) == 1 else f"{names[0]}=1x3x224x224" if names else ""
        raise InputError(
            f"the file does not say how large the network's input is ({', '.join(names)}); "
            f"say it: --shape {example}{' for each' * (len(names) > 1)}"
        )
    generator = torch.Generator().manual_seed(SEED)
    return {name: torch.randn(tuple(given[name]), generator=generator) for name in names}


def _input_names(module: torch.nn.Module) -> list[str]:
    """Arguments of `forward` that have no default."""
    if isinstance(module, torch.jit.ScriptModule):
        arguments = module.forward.schema.arguments[1:]  # type: ignore[attr-defined]
        return [argument.name for argument in arguments if not argument.has_default_value()]
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = inspect.signature(module.forward).parameters.values()
    names = [p.name for p in parameters if p.kind in kinds and p.default is inspect.Parameter.empty]
    return names or ["input"]


def _channels(module: torch.nn.Module) -> int:
    """What the first convolution reads."""
    kernels = (value for value in module.state_dict().values() if value.ndim == 4)
    return next((int(value.shape[1]) for value in kernels), 3)


def _program_inputs(
    program: torch.export.ExportedProgram, shapes: Mapping[str, Sequence[int]]
) -> dict[str, torch.Tensor]:
    """Seeded noise of the shapes that an exported program was made for; sizes it leaves open are the user's."""
    generator = torch.Generator().manual_seed(SEED)
    made = {node.name: node.meta["val"] for node in program.graph.nodes if node.op == "placeholder"}
    names = [name for name in program.graph_signature.user_inputs if isinstance(name, str)]
    given = {names[0]: shapes[""]} if len(names) == 1 and "" in shapes else shapes
    return {name: _noise(made[name], given.get(name, ()), generator) for name in names}


def _noise(like: torch.Tensor, shape: Sequence[int], generator: torch.Generator) -> torch.Tensor:
    open_sizes = any(not isinstance(side, int) for side in like.shape)
    sizes = tuple(shape) if open_sizes and len(shape) == like.ndim else tuple(int(side) for side in like.shape)
    if like.dtype.is_floating_point:
        return torch.randn(sizes, generator=generator).to(like.dtype)
    return torch.randint(0, 2, sizes, generator=generator).to(like.dtype)


def _short(error: BaseException) -> str:
    """The first line of what went wrong in the first place."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__).partition(". Please feel free")[0][:_LONGEST_REASON]

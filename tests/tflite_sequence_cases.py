"""Random TensorFlow Lite networks, continued: sequences, volumes, numbers put to places."""

from __future__ import annotations

from collections.abc import Callable

from tflite_cases import FUSED, Net, window_size
from tflite_writer import T

_TANH = 4


def variable(net: Net, *shape: int) -> str:
    """What a layer keeps from one run to the next."""
    name = f"state{len(net.tensors)}"
    net.tensors[name] = T(list(shape), more={"is_variable": True})
    return name


def lstm(net: Net) -> None:
    """With peepholes, a projection, coupled gates, clipping."""
    images, steps, entering, cells = net.integer(1, 3), net.integer(1, 5), net.integer(1, 4), net.integer(1, 4)
    time_major, coupled, seeing, projected = (net.chance(share) for share in (0.4, 0.3, 0.3, 0.3))
    units = net.integer(1, 4) if projected else cells
    shape = [steps, images] if time_major else [images, steps]

    def weights(*shape: int) -> str:
        return net.constant(net.numbers(*shape))

    gates = [not coupled, True, True, True]
    inputs = [net.source([*shape, entering])]
    inputs += [weights(cells, entering) if gate else "" for gate in gates]
    inputs += [weights(cells, units) if gate else "" for gate in gates]
    inputs += [weights(cells) if seeing and gate else "" for gate in (not coupled, True, True)]
    inputs += [weights(cells) if gate else "" for gate in gates]
    inputs += [weights(units, cells), weights(units) if net.chance() else ""] if projected else ["", ""]
    inputs += [variable(net, images, units), variable(net, images, cells)]
    net.add(
        "UNIDIRECTIONAL_SEQUENCE_LSTM", inputs, [*shape, units], "UnidirectionalSequenceLSTM", activation=_TANH,
        cell_clip=net.pick((0.0, 10.0, 0.5)), proj_clip=net.pick((0.0, 0.3)) if projected else 0.0,
        time_major=time_major,
    )  # fmt: skip


def rnn(net: Net) -> None:
    """One activation a step."""
    images, steps, entering, units = net.integer(1, 3), net.integer(1, 5), net.integer(1, 4), net.integer(1, 4)
    time_major = net.chance()
    shape = [steps, images] if time_major else [images, steps]
    weights = [net.constant(net.numbers(*sides)) for sides in ((units, entering), (units, units), (units,))]
    inputs = [net.source([*shape, entering]), *weights, variable(net, images, units)]
    net.add("UNIDIRECTIONAL_SEQUENCE_RNN", inputs, [*shape, units], "SequenceRNN", activation=_TANH,
            time_major=time_major)  # fmt: skip


def scattered(net: Net) -> None:
    """Whole rows or single numbers; several may fall on one place."""
    shape = net.sizes(net.integer(1, 4), 1, 4)
    deep, count = net.integer(1, len(shape)), net.integer(1, 5)
    places = [[net.integer(0, side - 1) for side in shape[:deep]] for _ in range(count)]
    values = net.source([count, *shape[deep:]])
    net.add("SCATTER_ND", [net.ints(places), values, net.ints(shape)], shape, "ScatterNd")


def turned_back(net: Net) -> None:
    """Each sequence up to its own length."""
    shape = net.sizes(net.integer(2, 4))
    time, batch = net.random.permutation(len(shape))[:2].tolist()
    lengths = [net.integer(0, shape[time]) for _ in range(shape[batch])]
    net.add("REVERSE_SEQUENCE", [net.source(shape), net.ints(lengths)], shape, "ReverseSequence", seq_dim=time,
            batch_dim=batch)  # fmt: skip


def volume(net: Net) -> None:
    """A convolution of three dimensions."""
    shape = [net.integer(1, 2), *net.sizes(3, 3, 6), net.integer(1, 3)]
    kernel, strides = net.sizes(3, 1, 3), net.sizes(3, 1, 2)
    dilations = net.sizes(3, 1, 2) if strides == [1, 1, 1] else [1, 1, 1]
    padding = net.integer(0, 1)
    along = list(zip(shape[1:4], kernel, strides, dilations, strict=True))
    padding = 0 if min(window_size(side, size, step, 1, apart) for side, size, step, apart in along) < 1 else padding
    sides = [window_size(side, size, step, padding, apart) for side, size, step, apart in along]
    count = net.integer(1, 3)
    named = {f"{what}_{side}": value for what, values in (("stride", strides), ("dilation", dilations))
             for side, value in zip("dhw", values, strict=True)}  # fmt: skip
    inputs = [net.source(shape), net.constant(net.numbers(*kernel, shape[4], count)), net.constant(net.numbers(count))]
    net.add(
        "CONV_3D", inputs, [shape[0], *sides, count], "Conv3D", padding=padding, activation=net.pick(FUSED), **named
    )


SEQUENCES: list[Callable[[Net], None]] = [lstm, lstm, rnn, scattered, turned_back, volume]

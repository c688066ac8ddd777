"""Recurrent layers: D directions of H hidden values, over S steps of N sequences of I values."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
import torch.nn.functional as F

from ....importers.errors import InputError
from . import operator

_Activation = Callable[[torch.Tensor], torch.Tensor]
_States = tuple[torch.Tensor, ...]  # [N, H] each; the first is the layer's output
_Step = Callable[[torch.Tensor, _States], _States]  # (W x + Wb of one time, states before) -> states after

# name -> (function of x, alpha, beta; the defaults it has for them)
_ACTIVATIONS: dict[str, tuple[Callable[..., torch.Tensor], tuple[float, ...]]] = {
    "affine": (lambda x, alpha, beta: alpha * x + beta, (1.0, 0.0)),
    "elu": (lambda x, alpha: F.elu(x, alpha), (1.0,)),
    "hardsigmoid": (lambda x, alpha, beta: F.hardtanh(alpha * x + beta, 0.0, 1.0), (0.2, 0.5)),
    "leakyrelu": (lambda x, alpha: F.leaky_relu(x, alpha), (0.01,)),
    "relu": (F.relu, ()),
    "scaledtanh": (lambda x, alpha, beta: alpha * torch.tanh(beta * x), (1.0, 1.0)),
    "sigmoid": (torch.sigmoid, ()),
    "softplus": (F.softplus, ()),
    "softsign": (F.softsign, ()),
    "tanh": (torch.tanh, ()),
    "thresholdedrelu": (lambda x, alpha: F.threshold(x, alpha, 0.0), (1.0,)),
}
_DIRECTIONS = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}


@operator("RNN", since=7, several=True)
def rnn(
    x: torch.Tensor,  # [S, N, I]
    w: torch.Tensor,  # [D, H, I]
    r: torch.Tensor,  # [D, H, H]
    b: torch.Tensor | None = None,  # [D, 2 H]
    lengths: torch.Tensor | None = None,  # [N]
    initial_h: torch.Tensor | None = None,  # [D, N, H]
    *,
    activation_alpha: Sequence[float] = (),
    activation_beta: Sequence[float] = (),
    activations: Sequence[str] = ("Tanh", "Tanh"),
    clip: float | None = None,
    direction: str = "forward",
    hidden_size: int | None = None,
    layout: int = 0,
) -> tuple[torch.Tensor, ...]:  # Y [S, D, N, H], Y_h [D, N, H]
    functions = _functions(activations, activation_alpha, activation_beta, clip)

    def step(index: int) -> _Step:
        f, recurrence, bias = functions[index], r[index], _half(b, index, 1)
        return lambda wx, states: (f(wx + F.linear(states[0], recurrence, bias)),)

    return _layer(x, w, b, lengths, [initial_h], r.shape[-1], step, direction, bool(layout))


@operator("GRU", since=7, several=True)
def gru(
    x: torch.Tensor,  # [S, N, I]
    w: torch.Tensor,  # [D, 3 H, I]: update, reset, hidden
    r: torch.Tensor,  # [D, 3 H, H]
    b: torch.Tensor | None = None,  # [D, 6 H]
    lengths: torch.Tensor | None = None,  # [N]
    initial_h: torch.Tensor | None = None,  # [D, N, H]
    *,
    activation_alpha: Sequence[float] = (),
    activation_beta: Sequence[float] = (),
    activations: Sequence[str] = ("Sigmoid", "Tanh") * 2,
    clip: float | None = None,
    direction: str = "forward",
    hidden_size: int | None = None,
    layout: int = 0,
    linear_before_reset: int = 0,
) -> tuple[torch.Tensor, ...]:  # Y [S, D, N, H], Y_h [D, N, H]
    functions = _functions(activations, activation_alpha, activation_beta, clip)
    size = r.shape[-1]

    def step(index: int) -> _Step:
        f, g = functions[2 * index : 2 * index + 2]
        gates, hidden = r[index, : 2 * size], r[index, 2 * size :]
        bias = _half(b, index, 1)
        gates_bias, hidden_bias = (None, None) if bias is None else (bias[: 2 * size], bias[2 * size :])

        def run(wx: torch.Tensor, states: _States) -> _States:
            (h,) = states
            update, reset = f(wx[:, : 2 * size] + F.linear(h, gates, gates_bias)).chunk(2, -1)
            if linear_before_reset:
                recurrent = reset * F.linear(h, hidden, hidden_bias)
            else:
                recurrent = F.linear(reset * h, hidden, hidden_bias)
            return ((1 - update) * g(wx[:, 2 * size :] + recurrent) + update * h,)

        return run

    return _layer(x, w, b, lengths, [initial_h], r.shape[-1], step, direction, bool(layout))


@operator("LSTM", since=7, several=True)
def lstm(
    x: torch.Tensor,  # [S, N, I]
    w: torch.Tensor,  # [D, 4 H, I]: input, output, forget, cell
    r: torch.Tensor,  # [D, 4 H, H]
    b: torch.Tensor | None = None,  # [D, 8 H]
    lengths: torch.Tensor | None = None,  # [N]
    initial_h: torch.Tensor | None = None,  # [D, N, H]
    initial_c: torch.Tensor | None = None,  # [D, N, H]
    peepholes: torch.Tensor | None = None,  # [D, 3 H]: input, output, forget
    *,
    activation_alpha: Sequence[float] = (),
    activation_beta: Sequence[float] = (),
    activations: Sequence[str] = ("Sigmoid", "Tanh", "Tanh") * 2,
    clip: float | None = None,
    direction: str = "forward",
    hidden_size: int | None = None,
    input_forget: int = 0,
    layout: int = 0,
) -> tuple[torch.Tensor, ...]:  # Y [S, D, N, H], Y_h and Y_c [D, N, H]
    functions = _functions(activations, activation_alpha, activation_beta, clip)
    unclipped = _functions(activations, activation_alpha, activation_beta, None)  # on the cell, as in onnxruntime

    def step(index: int) -> _Step:
        f, g, h = functions[3 * index], functions[3 * index + 1], unclipped[3 * index + 2]
        recurrence, bias = r[index], _half(b, index, 1)
        peep = (0.0, 0.0, 0.0) if peepholes is None else peepholes[index].chunk(3)

        def run(wx: torch.Tensor, states: _States) -> _States:
            hidden, cell = states
            i, o, forget, c = (wx + F.linear(hidden, recurrence, bias)).chunk(4, -1)
            i = f(i + peep[0] * cell)
            forget = 1 - i if input_forget else f(forget + peep[2] * cell)
            cell = forget * cell + i * g(c)
            return f(o + peep[1] * cell) * h(cell), cell

        return run

    return _layer(x, w, b, lengths, [initial_h, initial_c], r.shape[-1], step, direction, bool(layout))


# -- what they share ---


def _layer(
    x: torch.Tensor,
    w: torch.Tensor,
    b: torch.Tensor | None,
    lengths: torch.Tensor | None,
    initial: Sequence[torch.Tensor | None],
    hidden: int,
    step: Callable[[int], _Step],  # of a direction
    direction: str,
    batch_first: bool,
) -> tuple[torch.Tensor, ...]:
    x = x.transpose(0, 1) if batch_first else x
    states = [_state(given, x, len(w), hidden, batch_first) for given in initial]
    runs = []
    for index, backwards in enumerate(_DIRECTIONS[direction]):
        wx = F.linear(x, w[index], _half(b, index, 0))
        runs.append(_sweep(wx, tuple(state[index] for state in states), lengths, backwards, step(index)))
    y = torch.stack([outputs for outputs, _ in runs], 1)
    last = [torch.stack(values) for values in zip(*(final for _, final in runs), strict=True)]
    if batch_first:
        return y.permute(2, 0, 1, 3), *(state.transpose(0, 1) for state in last)
    return y, *last


def _state(
    given: torch.Tensor | None, x: torch.Tensor, directions: int, hidden: int, batch_first: bool
) -> torch.Tensor:  # [D, N, H]
    if given is None:
        return x.new_zeros(directions, x.shape[1], hidden)
    return given.transpose(0, 1) if batch_first else given


def _half(b: torch.Tensor | None, index: int, half: int) -> torch.Tensor | None:
    """The biases of the input (0) or of the recurrence (1)."""
    return None if b is None else b[index].chunk(2)[half]


def _sweep(
    wx: torch.Tensor, states: _States, lengths: torch.Tensor | None, backwards: bool, step: _Step
) -> tuple[torch.Tensor, _States]:
    """All outputs [S, N, H], and the states after the last step; beyond a sequence's end, zero and unchanged."""
    order = _order(wx, lengths) if backwards else None
    outputs = []
    for time, entry in enumerate(_reordered(wx, order)):
        after = step(entry, states)
        if lengths is not None:
            runs = (time < lengths)[:, None]
            after = tuple(torch.where(runs, new, old) for new, old in zip(after, states, strict=True))
        outputs.append(after[0] if lengths is None else torch.where(runs, after[0], 0))
        states = after
    return _reordered(torch.stack(outputs), order), states


def _order(x: torch.Tensor, lengths: torch.Tensor | None) -> torch.Tensor:  # [S, N]
    """Each sequence backwards, what lies beyond its end where it was."""
    time = torch.arange(len(x), device=x.device)[:, None]
    if lengths is None:
        return time.flip(0).expand(-1, x.shape[1])
    return torch.where(time < lengths, lengths.long() - 1 - time, time)


def _reordered(x: torch.Tensor, order: torch.Tensor | None) -> torch.Tensor:
    return x if order is None else x.gather(0, order[:, :, None].expand(-1, -1, x.shape[2]))


# -- activations ---


def _functions(
    names: Sequence[str], alphas: Sequence[float], betas: Sequence[float], clip: float | None
) -> list[_Activation]:
    """Those of all directions in order; each takes from the lists what it has parameters for."""
    alpha, beta = iter(alphas), iter(betas)
    return [_function(name, alpha, beta, clip) for name in names]


def _function(name: str, alphas: Iterator[float], betas: Iterator[float], clip: float | None) -> _Activation:
    if name.lower() not in _ACTIVATIONS:
        raise InputError(f"{name} is no activation of a recurrent layer; expected {', '.join(sorted(_ACTIVATIONS))}")
    function, defaults = _ACTIVATIONS[name.lower()]
    values = [next(source, default) for source, default in zip((alphas, betas), defaults, strict=False)]
    if clip is None:
        return lambda x: function(x, *values)
    return lambda x: function(x.clamp(-clip, clip), *values)

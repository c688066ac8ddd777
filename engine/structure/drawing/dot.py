"""A drawing in Graphviz's DOT language, with every position already in it.

`neato -n2` draws it as it stands; `dot` ignores the positions and makes its own layout.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from ..op_families import FAMILIES
from .blocks import Block
from .look import DARK, Look
from .plan import SMALL, TITLE, Frame, Plan, Slot, Wire, frame_title_width, title_size

FONT = "Helvetica,Arial,sans-serif"
INK, QUIET, EDGE = "#16202c", "#5d6875", "#8a94a2"
_HEADER = 78.0  # points, above the drawing
_ARROW = 6.5  # length of an arrow head, points


def dot_text(plan: Plan, headline: tuple[str, str], families: Sequence[str], *, direction: str = "TB") -> str:
    """The whole drawing as DOT text."""
    width, height = plan.width, plan.height + _HEADER
    label = _header(*headline, families)
    lines = [
        "digraph network {",
        f'  graph [rankdir={direction}, charset="UTF-8", bgcolor="white", pad=0.3, fontname="{FONT}",',
        f'         bb="0,0,{width:.1f},{height:.1f}", labelloc=t, lp="{width / 2:.1f},{height - _HEADER / 2 + 8:.1f}",',
        f"         label={label}];",
        f'  node [shape=box, style="rounded,filled", fixedsize=true, fontname="{FONT}", fontsize={TITLE:g},',
        f'        fontcolor="{INK}", penwidth=1.2];',
        f'  edge [color="{EDGE}", arrowsize=0.6, penwidth=1.1];',
        *_nested(plan, plan.height),
        *(f"  {_wire(wire, plan.height)}" for wire in plan.wires),
        "}",
    ]
    return "\n".join(lines) + "\n"


def _header(title: str, subtitle: str, families: Sequence[str]) -> str:
    chips = "".join(
        f'<FONT POINT-SIZE="11" COLOR="{FAMILIES[name].line}">■</FONT>'
        f'<FONT POINT-SIZE="10" COLOR="{QUIET}"> {escape(FAMILIES[name].label)}    </FONT>'
        for name in families
    )
    legend = f'<TR><TD HEIGHT="22">{chips}</TD></TR>'
    return (
        '<<TABLE BORDER="0" CELLSPACING="2" CELLPADDING="1">'
        f'<TR><TD><FONT POINT-SIZE="20" COLOR="{INK}"><B>{escape(title)}</B></FONT></TD></TR>'
        f'<TR><TD><FONT POINT-SIZE="12" COLOR="{QUIET}">{escape(subtitle)}</FONT></TD></TR>'
        f"{legend if families else ''}</TABLE>>"
    )


def _nested(plan: Plan, top: float) -> Iterator[str]:
    """Slots inside the subgraphs of their frames: ids say what is inside what."""
    open_frames: list[str] = []
    frames = {frame.id: frame for frame in plan.frames}
    for slot in plan.slots:
        parts = slot.id.split("_")
        around = [name for end in range(2, len(parts)) if (name := "_".join(parts[:end])) in frames]
        shared = sum(1 for a, b in zip(open_frames, around, strict=False) if a == b)
        yield from ("  " * depth + "}" for depth in range(len(open_frames), shared, -1))
        for depth, name in enumerate(around[shared:], shared + 1):
            yield from (f"{'  ' * depth}{line}" for line in _frame(frames[name], top))
        open_frames = around
        yield f"{'  ' * (len(around) + 1)}{_slot(slot, top)}"
    yield from ("  " * depth + "}" for depth in range(len(open_frames), 0, -1))


def _frame(frame: Frame, top: float) -> Iterator[str]:
    low, high = top - frame.y - frame.height, top - frame.y
    small = f'<BR ALIGN="LEFT"/><FONT POINT-SIZE="{SMALL:g}" COLOR="{QUIET}">'
    names = "".join(f"{small}{escape(line)}</FONT>" for line in frame.look.lines)
    middle = frame.x + 9 + frame_title_width(frame.look) / 2, high - 13.5 - 6.5 * len(frame.look.lines)
    words = f'<B>{escape(frame.look.title + frame.look.details)}</B>{names}<BR ALIGN="LEFT"/>'
    yield f"subgraph cluster_{frame.id} {{"
    yield (
        f'  graph [style="rounded,filled", fillcolor="{frame.look.fill}", color="{frame.look.line}", penwidth=1.2, '
        f'bb="{frame.x:.1f},{low:.1f},{frame.x + frame.width:.1f},{high:.1f}", lp="{middle[0]:.1f},{middle[1]:.1f}", '
        f'tooltip="{_tooltip(frame.look)}", label=<<FONT POINT-SIZE="{TITLE:g}" COLOR="{INK}">{words}</FONT>>];'
    )


def _slot(slot: Slot, top: float) -> str:
    look = slot.look
    parts = [
        f'pos="{slot.x:.1f},{top - slot.y:.1f}"',
        f"width={slot.width / 72:.3f}",
        f"height={slot.height / 72:.3f}",
        f'fillcolor="{look.fill}"',
        f'color="{look.line}"',
        f'tooltip="{_tooltip(look)}"',
        f"label={_label(look)}",
    ]
    if isinstance(slot.item, Block) and slot.item.count > 1:
        parts.append("peripheries=2")
    if look.weight:
        parts.append(f"penwidth={1.2 + 1.3 * look.weight:.1f}")
    return f"{slot.id} [{', '.join(parts)}];"


def _label(look: Look) -> str:
    quiet = INK if look.weight > DARK else QUIET
    details = f'<FONT COLOR="{quiet}">{escape(look.details)}</FONT>' if look.details else ""
    head = f'<FONT POINT-SIZE="{title_size(look):g}"><B>{escape(look.title)}</B>{details}</FONT>'
    rows = [head, *(f'<FONT POINT-SIZE="{SMALL:g}" COLOR="{quiet}">{escape(line)}</FONT>' for line in look.lines)]
    cells = "".join(f"<TR><TD>{row}</TD></TR>" for row in rows)
    return f'<<TABLE BORDER="0" CELLSPACING="0" CELLPADDING="1">{cells}</TABLE>>'


def _tooltip(look: Look) -> str:
    text = " | ".join((look.title + look.details, *look.hover))
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _wire(wire: Wire, top: float) -> str:
    """An edge with its course; the arrow head takes the last bit of it."""
    *course, end = ((x, top - y) for x, y in wire.points)
    (x, y), (u, v) = course[-1], end
    length = max(((u - x) ** 2 + (v - y) ** 2) ** 0.5, 0.01)
    share = min(_ARROW / length, 1.0)
    course.append((u - (u - x) * share, v - (v - y) * share))
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in course)
    return f'{wire.tail} -> {wire.head} [pos="e,{end[0]:.1f},{end[1]:.1f} {points}"];'

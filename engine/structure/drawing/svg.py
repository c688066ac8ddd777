"""A plan as SVG text, made without Graphviz. Colours are CSS classes with light and dark values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from ..op_families import FAMILIES, blend
from .blocks import Block
from .boxes import Box
from .look import DARK, Look
from .plan import SMALL, TITLE, Frame, Plan, Slot, Wire, title_size
from .text_width import text_width

_DARK = "#171c23"  # page
_HEADER = 84.0
_MARGIN = 24.0


def svg_text(plan: Plan, headline: tuple[str, str], families: Sequence[str], *, interactive: bool = False) -> str:
    """The drawing with its title and legend. `interactive`: sized by the page around it, not by itself."""
    width, height = plan.width + 2 * _MARGIN, plan.height + _HEADER + _MARGIN
    size = "" if interactive else f' width="{width:.0f}" height="{height:.0f}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="onnxray-graph" viewBox="0 0 {width:.1f} {height:.1f}"{size} '
        f'role="img" aria-label="{escape(" ".join(headline))}">',
        f"<style>{_style()}</style>",
        '<defs><marker id="onnxray-arrow" viewBox="0 0 8 8" refX="7.4" refY="4" markerWidth="6.5" markerHeight="6.5" '
        'markerUnits="userSpaceOnUse" orient="auto"><path class="tip" d="M0,0.8 L8,4 L0,7.2 z"/></marker></defs>',
        '<g class="all">',
        *_headline(headline, families, width),
        f'<g transform="translate({_MARGIN:g},{_HEADER:g})">',
        *(line for frame in plan.frames for line in _frame(frame)),
        *(_wire(wire) for wire in plan.wires),
        *(line for slot in plan.slots for line in _slot(slot)),
        "</g></g></svg>",
    ]
    return "\n".join(parts)


def _style() -> str:
    """Rules for this drawing only, wherever it is embedded."""
    light, dark = [], []
    for name, family in FAMILIES.items():
        light.append(f".f-{name}{{--fill:{family.fill};--line:{family.line}}}")
        line = blend(family.line, "#ffffff", 0.25)
        dark.append(f".f-{name}{{--fill:{blend(_DARK, family.line, 0.34)};--line:{line}}}")
    here = ".onnxray-graph"
    return (
        f"{here}{{--ink:#16202c;--quiet:#5d6875;--wire:#8a94a2;--pane:#f6f8fa;--rim:#b9c1cc;--card:#fff;"
        "--cardline:#6b7686;font-family:Helvetica,Arial,sans-serif}"
        + "".join(f"{here} {rule}" for rule in (*light, ".f-block{--fill:var(--card);--line:var(--cardline)}"))
        + f"@media(prefers-color-scheme:dark){{{here}{{--ink:#eef2f6;--quiet:#a3adb9;--wire:#768292;--pane:#1e242c;"
        "--rim:#3d4753;--card:#262e38;--cardline:#8d99a8}"
        + "".join(f"{here} {rule}" for rule in dark)
        + f"{here} .shade{{mix-blend-mode:screen}}}}"
        + "".join(
            f"{here} {rule}"
            for rule in (
                "text{fill:var(--ink)}",
                "text.q,{here} tspan.q{fill:var(--quiet)}".replace("{here}", here),
                ".box rect{fill:var(--fill);stroke:var(--line);stroke-width:1.2}",
                ".box rect.shade{fill:var(--line);stroke:none}",
                ".frame rect{fill:var(--pane);stroke:var(--rim);stroke-width:1.2}",
                ".wire{fill:none;stroke:var(--wire);stroke-width:1.1}",
                ".tip{fill:var(--wire)}",
            )
        )
    )


def _headline(headline: tuple[str, str], families: Sequence[str], width: float) -> Iterator[str]:
    middle = f'x="{width / 2:.1f}" text-anchor="middle"'
    yield f'<text {middle} y="28" font-size="20" font-weight="bold">{escape(headline[0])}</text>'
    yield f'<text class="q" {middle} y="47" font-size="12">{escape(headline[1])}</text>'
    widths = [text_width(FAMILIES[name].label, SMALL) + 30 for name in families]
    x = (width - sum(widths) + 12) / 2
    for name, step in zip(families, widths, strict=True):
        yield f'<g class="box f-{name}"><rect x="{x:.1f}" y="60" width="9" height="9" rx="2"/></g>'
        yield f'<text class="q" x="{x + 14:.1f}" y="68" font-size="{SMALL:g}">{escape(FAMILIES[name].label)}</text>'
        x += step


def _frame(frame: Frame) -> Iterator[str]:
    x, y, look = frame.x, frame.y, frame.look
    yield f'<g class="frame"><title>{_hover(look)}</title>'
    yield f'<rect x="{x:.1f}" y="{y:.1f}" width="{frame.width:.1f}" height="{frame.height:.1f}" rx="10"/>'
    words = escape(look.title + look.details)
    yield f'<text x="{x + 10:.1f}" y="{y + 18:.1f}" font-size="{TITLE:g}" font-weight="bold">{words}</text>'
    for row, line in enumerate(look.lines):
        at = f'x="{x + 10:.1f}" y="{y + 31 + 12 * row:.1f}" font-size="{SMALL:g}"'
        yield f'<text class="q" {at}>{escape(line)}</text>'
    yield "</g>"


def _slot(slot: Slot) -> Iterator[str]:
    look, x, y = slot.look, slot.x - slot.width / 2, slot.y - slot.height / 2
    family = slot.item.family if isinstance(slot.item, Box) else "block"
    box = f'x="{x:.1f}" y="{y:.1f}" width="{slot.width:.1f}" height="{slot.height:.1f}" rx="8"'
    yield f'<g class="box f-{family}" id="{slot.id}"><title>{_hover(look)}</title>'
    if isinstance(slot.item, Block) and slot.item.count > 1:
        outer = f'x="{x - 3:.1f}" y="{y - 3:.1f}" width="{slot.width + 6:.1f}" height="{slot.height + 6:.1f}" rx="10"'
        yield f"<rect {outer}/>"
    yield f"<rect {box}/>"
    if look.weight:
        yield f'<rect class="shade" {box} opacity="{0.5 * look.weight:.2f}"/>'
    title = title_size(look)
    lines = len(look.lines)
    base = slot.y - (title * 1.2 + lines * SMALL * 1.3) / 2 + title * 0.95
    quiet = "" if look.weight > DARK else ' class="q"'
    details = f'<tspan{quiet} font-weight="normal">{escape(look.details)}</tspan>' if look.details else ""
    middle = f'x="{slot.x:.1f}" text-anchor="middle"'
    yield f'<text {middle} y="{base:.1f}" font-size="{title:g}" font-weight="bold">{escape(look.title)}{details}</text>'
    for row, line in enumerate(look.lines, 1):
        at = base + 2 + row * SMALL * 1.3
        yield f'<text{quiet} {middle} y="{at:.1f}" font-size="{SMALL:g}">{escape(line)}</text>'
    yield "</g>"


def _wire(wire: Wire) -> str:
    (x, y), *rest = wire.points
    course = " ".join(f"{u:.1f},{v:.1f}" for u, v in rest)
    return (
        f'<path class="wire" data-tail="{wire.tail}" data-head="{wire.head}" d="M{x:.1f},{y:.1f} C{course}" '
        'marker-end="url(#onnxray-arrow)"/>'
    )


def _hover(look: Look) -> str:
    """The words of the tooltip, a line each."""
    return escape("\n".join((look.title + look.details, *look.hover)))

"""Drawings of a network: as Graphviz text, as SVG, or written to a svg, png, pdf, dot or html file."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ....importers.errors import InputError, nearest_names
from ...results import write_bytes, write_text
from .arrangement import arranged
from .blocks import Diagram, blocks
from .boxes import flow
from .dot import dot_text
from .look import Painter, headline, legend, shown
from .measures import METRICS, node_numbers
from .plan import Plan, plan
from .svg import svg_text
from .text_width import text_width

if TYPE_CHECKING:
    from ...model import Model

FORMS = ("svg", "png", "pdf", "dot", "html")
DIRECTIONS = ("TB", "LR")


class Drawing:
    """A network laid out: the same layout in every form.

    `expand`: a box for every node that touches data, instead of blocks. `metric`: "params", "macs", "time",
    "receptive_field" or "activation_bytes" shades and sizes the boxes; "time" needs `times`, node -> seconds, as
    `engine.profiling.operators.time_operators` measures them. `direction`: "TB" or "LR".
    Raises InputError when an option has no such value.
    """

    def __init__(
        self,
        model: Model,
        *,
        expand: bool = False,
        metric: str | None = None,
        direction: str = "TB",
        times: Mapping[str, float] | None = None,
    ) -> None:
        if metric is not None:
            _check("metric", metric, METRICS)
        _check("direction", direction, DIRECTIONS)
        if metric == "time" and not times:
            raise InputError("metric time expects times, which time_operators(model) measures; found none")
        diagram = _diagram(model, expand)
        numbers = node_numbers(model, times)
        painter = Painter(diagram, numbers, metric)
        nodes = len(model.graph.nodes)
        self.direction = direction
        self.families = legend(diagram)
        self.headline = headline(model.name, painter.total, nodes, sum(1 for _ in shown(diagram)))
        self.plan: Plan = plan(diagram, painter, direction=direction, least_width=self._title_width())

    def _title_width(self) -> float:
        title, subtitle = self.headline
        return max(text_width(title, 20, bold=True), text_width(subtitle, 12), 84.0 * len(self.families)) + 10

    def dot(self) -> str:
        """As DOT text with positions."""
        return dot_text(self.plan, self.headline, self.families, direction=self.direction)

    def svg(self) -> str:
        """As an SVG picture that follows the reader's light or dark setting."""
        return svg_text(self.plan, self.headline, self.families)

    def html(self) -> str:
        """As one offline page: zoom, move, numbers on hover."""
        page = Path(__file__).with_name("graph_page.html").read_text("utf-8")
        picture = svg_text(self.plan, self.headline, self.families, interactive=True)
        return page.replace("@TITLE@", escape(self.headline[0])).replace("@SVG@", picture)

    def write(self, path: str | Path) -> None:
        """Write a .svg, .png, .pdf, .dot or .html file; the first three are drawn by Graphviz.

        Raises InputError when the suffix is another, or Graphviz is missing or cannot do it.
        """
        path = Path(path)
        form = path.suffix.removeprefix(".").lower()
        if form not in FORMS:
            raise InputError(f"a drawing is written as {', '.join(f'.{each}' for each in FORMS)}; found {path.name}")
        if form == "dot":
            write_text(path, self.dot())
        elif form == "html":
            write_text(path, self.html())
        else:
            from .graphviz_program import run

            write_bytes(path, run(self.dot(), form))


def to_dot(model: Model, **options: Any) -> str:
    """The network in Graphviz's language; options as of `Drawing`."""
    return Drawing(model, **options).dot()


def to_svg(model: Model, **options: Any) -> str:
    """The network as SVG text, made without Graphviz; options as of `Drawing`."""
    return Drawing(model, **options).svg()


def draw(model: Model, path: str | Path, **options: Any) -> None:
    """Draw the network to a .svg, .png, .pdf, .dot or .html file; options as of `Drawing`."""
    Drawing(model, **options).write(path)


def _check(option: str, value: str, known: Mapping[str, object] | tuple[str, ...]) -> None:
    if value not in known:
        raise InputError(f"{option} expects {', '.join(known)}; found {value!r}; {nearest_names(value, known)}")


def _diagram(model: Model, expand: bool) -> Diagram:
    if not expand:
        return arranged(blocks(flow(model.graph)))
    every = flow(model.graph, fuse=False)
    return Diagram(every.boxes, every.feeders)

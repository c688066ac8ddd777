"""The report's weights."""

from __future__ import annotations

from ...engine.model import Model
from .section import Section


def section(model: Model) -> Section:
    return Section(page={"weights_caption": "", "weight_figures": [], "weight_columns": [], "weight_rows": []}, data={})

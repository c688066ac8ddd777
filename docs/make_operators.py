"""Writes docs/operators.md from a run of the operator table: `.venv/bin/python docs/make_operators.py`.

It takes a minute, and the node cases of older onnx releases (`make node-cases`).
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS.parent / "tests"))

from backend_cases import RELEASES  # noqa: E402
from onnxray.engine.gradient.control_flow import CONTROL_FLOW  # noqa: E402
from onnxray.engine.gradient.ops import Operator, entries, find  # noqa: E402
from operator_checks import (  # noqa: E402
    NO_GRADIENT,
    SEQUENCES,
    Coverage,
    check_gradient,
    coverage,
    gradient_cases,
    operators_of,
    table,
)

PAGE = DOCS / "operators.md"
HEAD = """# Operators of the torch bridge

Made by `python docs/make_operators.py` from a run of the tests; do not edit.

What `Model.torch()` can run and differentiate. **Forward**: of onnx's own node tests that use the operator and that
onnxruntime passes, how many the bridge passes too, over the opsets {opsets}. **Gradient**: how many of its single-node
tests agree with finite differences (`torch.autograd.gradcheck`, float64, random inputs). **Opsets**: the first version
of each meaning; versions in between mean the same.

An operator that is not listed, but that ONNX defines by others, is built from that definition. Anything else is
refused, all such operators in one message.
"""


def operator_names() -> list[str]:
    """ONNX's own operators that the bridge has."""
    return sorted({entry.name for entry in table()} | set(CONTROL_FLOW))


def contributed_names() -> list[str]:
    """Operators of other domains: "com.microsoft.Gelu"."""
    return sorted({f"{entry.domain}.{entry.name}" for entry in entries() if entry.domain})


def main() -> None:
    """Run everything and write the page."""
    runs = {opset: coverage(opset) for opset in RELEASES}
    opsets = ", ".join(map(str, RELEASES))
    PAGE.write_text("\n".join([HEAD.format(opsets=opsets), _totals(runs), _rows(list(runs.values())), _others()]))


def _totals(runs: dict[int, Coverage]) -> str:
    lines = [
        "| opset | passed | of | left out because onnxruntime does not pass them | out of scope |",
        "|---|---|---|---|---|",
    ]
    for opset, run in runs.items():
        scope = ", ".join(f"{reason} {count}" for reason, count in run.excluded.most_common())
        judged = len(run.passed) + len(run.failed)
        right, others = run.unjudged
        lines.append(f"| {opset} | {len(run.passed)} | {judged} | {others} (the bridge passes {right}) | {scope} |")
    failing = [
        f"- opset {opset}, {case.name}: {reason}" for opset, run in runs.items() for case, reason in run.failed.items()
    ]
    return "\n".join([*lines, "", "Not passed:" if failing else "All are passed.", "", *failing, ""])


def _rows(runs: list[Coverage]) -> str:
    passed: dict[str, int] = defaultdict(int)
    failed: dict[str, int] = defaultdict(int)
    for run in runs:
        for counts, found in ((passed, run.passed), (failed, run.failed)):
            for case in found:
                for name in operators_of(case):
                    counts[name] += 1
    lines = ["| operator | opsets | forward | gradient | notes |", "|---|---|---|---|---|"]
    for name in operator_names():
        forward = f"{passed[name]}/{passed[name] + failed[name]}" if passed[name] + failed[name] else "see the tests"
        meanings = sorted((entry for entry in table() if entry.name == name), key=lambda entry: entry.since)
        since = ", ".join(str(entry.since) for entry in meanings) or "1"
        lines.append(f"| {name} | {since} | {forward} | {_gradient(name, meanings)} | {_notes(meanings)} |")
    return "\n".join(lines)


def _gradient(name: str, meanings: list[Operator]) -> str:
    if name in NO_GRADIENT:
        return f"none: {NO_GRADIENT[name]}"
    if name in CONTROL_FLOW or name in SEQUENCES:
        return "checked in small graphs"
    found = [check_gradient(case) for entry in meanings for case in gradient_cases().get((name, entry.since), ())]
    return f"{found.count('')}/{sum(result is not None for result in found)}"


def _notes(meanings: list[Operator]) -> str:
    """The first line of each meaning's docstring, which says what is special or left out."""
    texts = [(entry.function.__doc__ or "").strip().partition("\n")[0] for entry in meanings]
    carried = any(find(entry.name, "", entry.since, straight_through=True) is not entry for entry in meanings)
    extra = ["Straight-through where gradients are wanted."] if carried else []
    return " ".join(dict.fromkeys([*filter(None, texts), *extra])).replace("|", "\\|")


def _others() -> str:
    names = ", ".join(contributed_names())
    return f"\nOf onnxruntime's own operators, compared with onnxruntime in the tests: {names}.\n"


if __name__ == "__main__":
    main()

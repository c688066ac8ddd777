"""Runs an NCNN network in NCNN, in a process of its own: it trusts what a file says.

Started by path, so that it imports nothing but NCNN and NumPy:
python ncnn_process.py PARAM WEIGHTS FEEDS.npz WANTED.json RESULTS.npz
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import ncnn
import numpy as np

_BINARY = (7767517).to_bytes(4, "little")  # what a network without text starts with
REFUSED = 3  # exit code when NCNN does not load or run it
_INEXACT = (
    *("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage", "use_bf16_packed"),
    *("use_winograd_convolution", "use_sgemm_convolution", "use_packing_layout", "use_vulkan_compute", "lightmode"),
)


def main(param: str, weights: str, feeds: str, wanted: str, results: str) -> int:
    """FEEDS and RESULTS are named by the blobs' numbers."""
    net = ncnn.Net()
    net.opt.num_threads = 1
    for option in _INEXACT:
        if hasattr(net.opt, option):
            setattr(net.opt, option, False)
    load = net.load_param_bin if Path(param).read_bytes().startswith(_BINARY) else net.load_param
    if load(param) or net.load_model(weights):
        print("it does not load", file=sys.stderr)
        return REFUSED
    inputs = {int(place): np.ascontiguousarray(value) for place, value in np.load(feeds).items()}
    extractor = net.create_extractor()
    for place, value in inputs.items():
        extractor.input(place, ncnn.Mat(value).clone())
    found = {}
    for place in json.loads(Path(wanted).read_text()):
        code, value = extractor.extract(place)
        if code:
            print(f"it does not compute {net.blobs()[place].name or place}, error {code}", file=sys.stderr)
            return REFUSED
        found[str(place)] = np.array(value)
    np.savez(results, **found)  # type: ignore[arg-type]
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

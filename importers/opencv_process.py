"""Runs a network in OpenCV, in a process of its own: OpenCV is known to crash on networks it does not expect.

Started by path, so that it imports nothing but OpenCV and NumPy:
python opencv_process.py caffe|darknet|tensorflow FILE … FEEDS.npz LAYERS.json RESULTS.npz
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

REFUSED = 3  # exit code when OpenCV raises
READERS: dict[str, Callable[..., cv2.dnn.Net]] = {
    "caffe": cv2.dnn.readNetFromCaffe,
    "darknet": cv2.dnn.readNetFromDarknet,
    "tensorflow": cv2.dnn.readNetFromTensorflow,
}


def main(reader: str, *words: str) -> int:
    """RESULTS holds every top of the named layers that OpenCV has, as "LAYER NUMBER/TOP NUMBER"."""
    *files, feeds, layers, results = words
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        net = READERS[reader](*files)
        net.setPreferableBackend(cv2.dnn.DNN_BACKEND_OPENCV)
        net.enableFusion(False)  # a fused layer's blob would be that of the layer after it
        net.enableWinograd(False)  # faster, but less exact than the bar
        for name, value in np.load(feeds).items():
            net.setInput(np.ascontiguousarray(value, np.float32), name)
        known = set(net.getLayerNames())
        wanted = {index: name for index, name in enumerate(json.loads(Path(layers).read_text())) if name in known}
        tops = net.forwardAndRetrieve(list(wanted.values())) if wanted else ()
    except cv2.error as error:
        print(error.err or error, file=sys.stderr)
        return REFUSED
    found = {
        f"{index}/{top}": blob for index, blobs in zip(wanted, tops, strict=True) for top, blob in enumerate(blobs)
    }
    np.savez(results, **found)  # type: ignore[arg-type]
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

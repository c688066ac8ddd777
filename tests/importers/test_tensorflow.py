"""TensorFlow: the real models, against what TensorFlow 2.21 computes of them and against their twin."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxray
import pytest
from onnxray.importers.certificate import certify, compare_arrays, run_onnx
from onnxray.importers.errors import InputError
from onnxray.importers.tensorflow import tensorflow_oracle
from tensorflow_runs import TENSORFLOW

Shared = Callable[[str], Path]
DEEPLAB = "models/tf_frozen_pb/deeplab_dm05_portrait/frozen_inference_graph.pb"
PORTRAIT = "models/tf_saved_model/ppseg_lite_portrait/saved_model"
TWIN = "models/onnx/ppseg_lite_portrait/ppseg_lite_portrait_398x224_with_softmax_fixed.onnx"

# Of seeded bytes [1, 3, 129, 97], by TensorFlow 2.21: the probability of a person at every 32nd pixel, and its mean.
PERSON = [
    [0.11502110213041306, 0.14774443209171295, 0.1379680633544922, 0.041440967470407486],
    [0.05872693285346031, 0.057262782007455826, 0.09625669568777084, 0.052652906626462936],
    [0.08836032450199127, 0.17965300381183624, 0.2970593571662903, 0.25582221150398254],
    [0.13288475573062897, 0.3657163679599762, 0.5691118836402893, 0.5260768532752991],
    [0.372139036655426, 0.5672022104263306, 0.44934511184692383, 0.5077402591705322],
]
PERSON_MEAN, PERSON_SHARE = 0.2569491, 0.07160553024854152


def test_deeplab_is_what_tensorflow_computes(shared: Shared) -> None:
    """With its preprocessing, whose sizes are computed from the image's, and convolutions dilated by batches."""
    model = onnxray.load(shared(DEEPLAB), shapes={"ImageTensor": (1, 3, 129, 97)})
    pixels = np.random.default_rng(0).integers(0, 256, (1, 3, 129, 97), dtype=np.uint8)
    names = ["SemanticPredictions", "SemanticProbabilities"]
    found = run_onnx(model.proto, {"ImageTensor": pixels}, names)
    probabilities = found["SemanticProbabilities"][:, 1]
    assert found["SemanticProbabilities"].shape == (1, 2, 129, 97)
    assert np.abs(probabilities[0, ::32, ::32] - np.array(PERSON)).max() <= 1e-4
    assert probabilities.mean() == pytest.approx(PERSON_MEAN, abs=1e-5)
    assert found["SemanticPredictions"].mean() == pytest.approx(PERSON_SHARE, abs=1e-4)


def test_deeplab_has_no_more_transposes_than_it_needs(shared: Shared) -> None:
    proto = onnxray.load(shared(DEEPLAB), size=(513, 513)).proto
    ops = [node.op_type for node in proto.graph.node]
    assert (ops.count("Conv"), ops.count("BatchNormalization"), ops.count("SpaceToDepth")) == (55, 54, 0)
    assert ops.count("Transpose") <= 4  # around its resizing of single pixels and labels


def test_sizes_that_the_file_leaves_open_have_to_be_said(shared: Shared) -> None:
    with pytest.raises(InputError, match=r"ImageTensor has the shape \[1, -1, -1, 3\]; say it with --shape"):
        onnxray.load(shared(DEEPLAB))


def test_the_portrait_network_equals_its_twin(shared: Shared) -> None:
    """A SavedModel without signatures: one function, whose weights are captured constants."""
    proto = onnxray.load(shared(PORTRAIT)).proto
    twin = onnx.load(shared(TWIN))
    noise = np.random.default_rng(0).normal(size=(1, 3, 224, 398)).astype(np.float32)
    (ours,) = run_onnx(proto, {"inputs_0": noise}, ["identity"]).values()
    (theirs,) = run_onnx(twin, {"x": noise}, [twin.graph.output[0].name]).values()
    assert ours.shape == (1, 2, 224, 398)
    assert compare_arrays("", theirs, ours).relative <= 1e-5


def test_what_opencv_gets_wrong_is_not_certified(shared: Shared, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensorflow_oracle, "find_python", lambda: None)
    path = shared(PORTRAIT)
    certificate = certify(path, None, onnxray.load(path).proto)
    assert not certificate.verified and not certificate.failed
    assert "gets these operators wrong at times: PadV2, Transpose, Reshape, Split" in certificate.note


@pytest.mark.skipif(not TENSORFLOW, reason="ONNXRAY_TENSORFLOW_PYTHON names no Python with TensorFlow")
@pytest.mark.parametrize(
    ("name", "reads"), [(DEEPLAB, "the original file"), (PORTRAIT, "its nodes, written as one frozen graph by us")]
)
def test_tensorflow_certifies_them(shared: Shared, name: str, reads: str) -> None:
    path, options = shared(name), {"size": 513} if name == DEEPLAB else {}
    certificate = certify(path, None, onnxray.load(path, **options).proto, per_layer=True, options=options)
    assert certificate.verified and certificate.reads == reads
    assert len(certificate.inner) > 170


@pytest.mark.parametrize("name", [DEEPLAB, f"{PORTRAIT}/saved_model.pb"])
def test_truncated_real_files_are_refused(shared: Shared, tmp_path: Path, name: str) -> None:
    whole = shared(name).read_bytes()
    path = tmp_path / "model.pb"
    for share in (0.1, 0.5, 0.9, 0.999):
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(InputError) as caught:
            onnxray.load(path, size=513)
        assert "\n" not in str(caught.value)


def test_summary_and_conversion_of_a_folder(
    shared: Shared, cli: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    folder = tmp_path / "portrait"
    shutil.copytree(shared(PORTRAIT), folder)
    code, out, _ = cli("summary", folder)
    assert code == 0 and "Conv" in out
    code, _, _ = cli("convert", folder, "-o", tmp_path / "net.onnx")
    assert code == 0
    onnx.checker.check_model(tmp_path / "net.onnx")

"""Formats are told by content: the shared collection's files under wrong names, and the first bytes of the others."""

from __future__ import annotations

import gzip
import os
import shutil
import struct
import zipfile
from pathlib import Path

import pytest
import tiny_models
from onnxray.importers.errors import InputError
from onnxray.importers.sniff import recognise
from PIL import Image


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("models/onnx/ultraface_rfb320/version-RFB-320.onnx", "onnx"),
        ("models/onnx/prisma_portrait_unet/prisma_nchw.onnx", "onnx"),
        ("models/derived/resnet20_cifar10.onnx", "onnx"),
        ("models/caffe/lenet_mnist/lenet_iter_10000.caffemodel", "caffe"),
        ("models/caffe/cifar10_quick/cifar10_quick_iter_5000.caffemodel", "caffe"),
        ("models/caffe/lenet_mnist/lenet_train_test.prototxt", "caffe"),
        ("models/caffe/cifar10_quick/cifar10_quick_deploy.prototxt", "caffe"),
        ("models/keras_h5/fer_mini_xception/emotion_model.hdf5", "keras"),
        ("models/tflite/fer_mini_xception/emotion_model_quantized.tflite", "tflite"),
        ("models/tfjs/upscaler_esrgan_slim_x2/model.json", "tfjs"),
        ("models/pytorch_pickled_module/mnist_cnn/model.pth", "pytorch"),
        ("models/pytorch_state_dict/facenet_mtcnn/pnet.pt", "pytorch"),
        ("models/mxnet/mtcnn/det1-0001.params", "mxnet"),
        ("models/mxnet/mtcnn/det1-symbol.json", "mxnet"),
        ("models/paddle/ppocr_v2_cls/inference.pdmodel", "paddle"),
        ("models/paddle/ppocr_v2_cls/inference.pdiparams", "paddle"),
        ("models/ncnn/ultraface_rfb320/RFB-320.param", "ncnn"),
        ("models/ncnn/squeezenet_v1.1/squeezenet_v1.1.bin", "ncnn"),
        ("models/derived/resnet20_cifar10.pt2", "pytorch"),
        ("models/coreml/sinet_portrait/SINet.mlmodel", "coreml"),
        ("models/torchscript/mnist_scripted/model_scripted.pt", "pytorch"),
        ("models/tf_frozen_pb/deeplab_dm05_portrait/frozen_inference_graph.pb", "tensorflow"),
        ("models/tf_saved_model/ppseg_lite_portrait/saved_model/saved_model.pb", "tensorflow"),
    ],
)
def test_models_are_recognised_whatever_their_name(shared, tmp_path: Path, name: str, expected: str) -> None:
    for other in ("model", "model.txt", "model.jpg"):
        shutil.copy(shared(name), tmp_path / other)
        assert recognise(tmp_path / other) == expected


# The first bytes of formats that Netron knows and onnxray does not import -> what they are called.
FOREIGN: dict[str, bytes] = {
    "an ExecuTorch program (.pte)": b"\x1c\0\0\0ET12" + bytes(64),
    "an RKNN model": b"RKNN\0\0\0\0" + bytes(64),
    "an Ascend OM model": b"IMOD" + bytes(300),
    "a TensorRT engine": b"ptrt" + bytes(64),
    "a MindSpore Lite model": b"\x1c\0\0\0MSL2" + bytes(64),
    "a Circle model": b"\x1c\0\0\0CIR0" + bytes(64),
    "a kmodel": b"LDMK" + bytes(64),
    "TNN weights (.tnnmodel)": b"\x02\0\xbc\xfa" + bytes(64),
    "a TNN model (.tnnproto)": b'"1 12 1 4206624770 ,"\n"data 4 1 3 8 8 0 ,"\n',
    "an OpenVINO model": b'<?xml version="1.0"?>\n<net name="x" version="11"></net>',
    "an NNEF graph": b"# made by hand\nversion 1.0;\ngraph net(x) -> (y)\n{\n}\n",
    "an MLIR module": b"#map = affine_map<(d0) -> (d0)>\nmodule attributes {} {\n}\n",
    "a GGUF model": b"GGUF" + struct.pack("<IQQ", 3, 0, 0),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_other_formats_are_named_and_shown(tmp_path: Path, name: str) -> None:
    (tmp_path / "model.onnx").write_bytes(FOREIGN[name])
    with pytest.raises(InputError, match=r"cannot import yet.*`onnxray view` shows it") as caught:
        recognise(tmp_path / "model.onnx")
    assert f"recognised as {name}, which" in str(caught.value)


def _zip(path: Path, *names: str) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, "x")


# What is written -> what the message must say. Each is a real file of its kind, or its documented first bytes.
WRITERS = {
    "JPEG": lambda path: Image.new("RGB", (8, 8)).save(path, "JPEG"),
    "PNG": lambda path: Image.new("RGB", (8, 8)).save(path, "PNG"),
    "BMP": lambda path: Image.new("RGB", (8, 8)).save(path, "BMP"),
    "GIF": lambda path: Image.new("RGB", (8, 8)).save(path, "GIF"),
    "TIFF": lambda path: Image.new("RGB", (8, 8)).save(path, "TIFF"),
    "WebP": lambda path: Image.new("RGB", (8, 8)).save(path, "WEBP"),
    "NumPy": lambda path: path.write_bytes(b"\x93NUMPY\x01\x00" + bytes(120)),
    "gzip": lambda path: path.write_bytes(gzip.compress(b"x" * 100)),
    "holds deep/net.onnx": lambda path: _zip(path, "deep/net.onnx"),
    "Core ML package": lambda path: _zip(path, "n.mlpackage/Data/com.apple.CoreML/model.mlmodel"),
    "Qualcomm DLC": lambda path: _zip(path, "model", "model.params", "dlc.metadata"),
    "damaged zip": lambda path: path.write_bytes(b"PK\x03\x04" + bytes(40)),
    "git lfs pull": lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"),
    "HTML": lambda path: path.write_text("\n<!DOCTYPE html>\n<html></html>"),
    "Caffe solver": lambda path: path.write_text('# the solver\nnet: "train_val.prototxt"\nbase_lr: 0.01\n'),
    "Caffe mean image": lambda path: path.write_bytes(b"\x08\x01\x10\x03\x18\x02\x20\x02" + b"\x2a\x30" + bytes(48)),
    "unknown content": lambda path: path.write_text("dear diary\n"),
}


@pytest.mark.parametrize("says", WRITERS)
def test_what_is_no_model_is_named(tmp_path: Path, says: str) -> None:
    for name in ("model", "model.caffemodel"):
        WRITERS[says](tmp_path / name)
        with pytest.raises(InputError) as caught:
            recognise(tmp_path / name)
        assert says in str(caught.value)


def test_a_jpeg_called_onnx_is_no_damaged_model(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "photo.onnx", "JPEG")
    with pytest.raises(InputError, match="expected a model file, found a JPEG image"):
        recognise(tmp_path / "photo.onnx")


def test_text_about_layers_is_no_prototxt(tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("The layer {conv1} is the first layer.\n")
    with pytest.raises(InputError, match="unknown content"):
        recognise(tmp_path / "notes.md")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "empty.onnx").touch()
    os.mkfifo(tmp_path / "pipe.onnx")
    for name, says in (("empty.onnx", "empty file"), ("pipe.onnx", "device or pipe"), ("none.onnx", "no such file")):
        with pytest.raises(InputError, match=says):
            recognise(tmp_path / name)


def test_a_folder_says_what_is_in_it(tmp_path: Path) -> None:
    tiny_models.save(tmp_path / "net.onnx")
    with pytest.raises(InputError, match=r"did you mean net\.onnx"):
        recognise(tmp_path)
    (tmp_path / "saved_model.pb").touch()
    with pytest.raises(InputError, match=r"empty file: .*saved_model\.pb"):
        recognise(tmp_path)
    (tmp_path / "saved_model.pb").write_bytes(b"\x08\x01")
    assert recognise(tmp_path) == "tensorflow"

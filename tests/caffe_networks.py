"""Prototxts of well-known architectures: narrow, but with every layer type and connection of the originals."""

from __future__ import annotations

from tiny_caffe import layer


def conv(bottom: str, top: str, channels: int, kernel: int = 3, extra: str = "", *, relu: bool = True) -> str:
    """A convolution that keeps the size (unless `extra` says otherwise) with its ReLU in place."""
    pad = "" if "pad" in extra else f"pad: {kernel // 2}"
    text = layer(
        "Convolution", bottom, top, convolution_param=f"num_output: {channels} kernel_size: {kernel} {pad} {extra}"
    )
    return text + ("\n" + layer("ReLU", top, top, name=f"relu_{top}") if relu else "")


def pool(bottom: str, top: str, kernel: int, stride: int, method: str = "MAX", extra: str = "") -> str:
    return layer("Pooling", bottom, top, pooling_param=f"pool: {method} kernel_size: {kernel} stride: {stride} {extra}")


def dense(bottom: str, top: str, units: int) -> str:
    return layer("InnerProduct", bottom, top, inner_product_param=f"num_output: {units}")


def batch_norm(blob: str) -> str:
    """In place: statistics, then scale and shift."""
    return "\n".join(
        [
            layer("BatchNorm", blob, blob, name=f"bn_{blob}"),
            layer("Scale", blob, blob, name=f"scale_{blob}", scale_param="bias_term: true"),
        ]
    )


def caffenet() -> str:
    """AlexNet / CaffeNet (Krizhevsky et al. 2012): LRN, groups, overhanging pooling, dropout in place."""
    return "\n".join(
        [
            conv("data", "conv1", 8, 11, "stride: 4 pad: 0"),
            pool("conv1", "pool1", 3, 2),
            layer("LRN", "pool1", "norm1", lrn_param="local_size: 5 alpha: 0.01 beta: 0.75"),
            conv("norm1", "conv2", 8, 5, "group: 2"),
            pool("conv2", "pool2", 3, 2),
            layer("LRN", "pool2", "norm2", lrn_param="local_size: 5 alpha: 0.01 beta: 0.75"),
            conv("norm2", "conv3", 12),
            conv("conv3", "conv4", 12, 3, "group: 2"),
            conv("conv4", "conv5", 8, 3, "group: 2"),
            pool("conv5", "pool5", 3, 2),
            dense("pool5", "fc6", 16),
            layer("ReLU", "fc6", "fc6", name="relu6"),
            layer("Dropout", "fc6", "fc6", name="drop6"),
            dense("fc6", "fc8", 10),
            layer("Softmax", "fc8", "prob"),
        ]
    )


def vgg() -> str:
    """VGG-16 (Simonyan and Zisserman 2014), an eighth as wide."""
    parts, bottom = [], "data"
    for block, (channels, count) in enumerate([(8, 2), (16, 2), (32, 3), (64, 3), (64, 3)], 1):
        for index in range(1, count + 1):
            parts.append(conv(bottom, f"conv{block}_{index}", channels))
            bottom = f"conv{block}_{index}"
        parts.append(pool(bottom, f"pool{block}", 2, 2))
        bottom = f"pool{block}"
    for name in ("fc6", "fc7"):
        parts += [dense(bottom, name, 32), layer("ReLU", name, name, name=f"relu_{name}")]
        bottom = name
    return "\n".join([*parts, dense("fc7", "fc8", 10), layer("Softmax", "fc8", "prob")])


def inception(bottom: str, name: str) -> str:
    """One GoogLeNet module (Szegedy et al. 2014)."""
    return "\n".join(
        [
            conv(bottom, f"{name}/1x1", 4, 1),
            conv(bottom, f"{name}/3x3_reduce", 3, 1),
            conv(f"{name}/3x3_reduce", f"{name}/3x3", 5),
            conv(bottom, f"{name}/5x5_reduce", 2, 1),
            conv(f"{name}/5x5_reduce", f"{name}/5x5", 3, 5),
            pool(bottom, f"{name}/pool", 3, 1, "MAX", "pad: 1"),
            conv(f"{name}/pool", f"{name}/pool_proj", 2, 1),
            layer("Concat", f"{name}/1x1,{name}/3x3,{name}/5x5,{name}/pool_proj", f"{name}/output"),
        ]
    )


def googlenet() -> str:
    """GoogLeNet's stem, two modules and head."""
    return "\n".join(
        [
            conv("data", "conv1/7x7_s2", 8, 7, "stride: 2"),
            pool("conv1/7x7_s2", "pool1/3x3_s2", 3, 2),
            layer("LRN", "pool1/3x3_s2", "pool1/norm1", lrn_param="local_size: 5 alpha: 0.01 beta: 0.75"),
            inception("pool1/norm1", "inception_3a"),
            inception("inception_3a/output", "inception_3b"),
            pool("inception_3b/output", "pool3", 3, 2),
            pool("pool3", "pool5", 7, 1, "AVE"),
            layer("Dropout", "pool5", "pool5", name="drop"),
            dense("pool5", "loss3/classifier", 10),
            layer("Softmax", "loss3/classifier", "prob"),
        ]
    )


def residual(bottom: str, name: str, channels: int, stride: int) -> str:
    """A bottleneck with a projection (He et al. 2015); batch norm, scale and ReLU all in place."""

    def normed(source: str, top: str, count: int, kernel: int, extra: str = "") -> str:
        return conv(source, top, count, kernel, f"bias_term: false {extra}", relu=False) + "\n" + batch_norm(top)

    a, b, c, short = (f"{name}_branch{part}" for part in ("2a", "2b", "2c", "1"))
    return "\n".join(
        [
            normed(bottom, short, channels * 2, 1, f"stride: {stride}"),
            normed(bottom, a, channels, 1, f"stride: {stride}"),
            layer("ReLU", a, a, name=f"{a}_relu"),
            normed(a, b, channels, 3),
            layer("ReLU", b, b, name=f"{b}_relu"),
            normed(b, c, channels * 2, 1),
            layer("Eltwise", f"{short},{c}", name),
            layer("ReLU", name, name, name=f"{name}_relu"),
        ]
    )


def resnet() -> str:
    """ResNet-50's stem, two stages and head."""
    return "\n".join(
        [
            conv("data", "conv1", 8, 7, "stride: 2", relu=False),
            batch_norm("conv1"),
            layer("ReLU", "conv1", "conv1", name="conv1_relu"),
            pool("conv1", "pool1", 3, 2),
            residual("pool1", "res2a", 4, 1),
            residual("res2a", "res3a", 8, 2),
            layer("Pooling", "res3a", "pool5", pooling_param="pool: AVE global_pooling: true"),
            dense("pool5", "fc", 10),
            layer("Softmax", "fc", "prob"),
        ]
    )


def mobilenet() -> str:
    """MobileNet (Howard et al. 2017): depthwise convolutions by `group`, then pointwise ones."""
    parts, bottom = (
        [conv("data", "conv1", 8, 3, "stride: 2 bias_term: false", relu=False), batch_norm("conv1")],
        "conv1",
    )
    for index, stride in enumerate([1, 2, 1], 2):
        parts += [
            conv(bottom, f"conv{index}/dw", 8, 3, f"group: 8 stride: {stride} bias_term: false", relu=False),
            batch_norm(f"conv{index}/dw"),
            layer("ReLU6", f"conv{index}/dw", f"conv{index}/dw", name=f"relu{index}/dw"),
            conv(f"conv{index}/dw", f"conv{index}/sep", 8, 1),
        ]
        bottom = f"conv{index}/sep"
    parts += [
        layer("Pooling", bottom, "pool6", pooling_param="pool: AVE global_pooling: true"),
        conv("pool6", "fc7", 10, 1, relu=False),
        layer("Softmax", "fc7", "prob"),
    ]
    return "\n".join(parts)


def squeezenet() -> str:
    """SqueezeNet 1.1's stem, two fire modules and convolutional classifier (Iandola et al. 2016)."""

    def fire(bottom: str, name: str) -> str:
        squeezed = f"{name}/squeeze1x1"
        return "\n".join(
            [
                conv(bottom, squeezed, 4, 1),
                conv(squeezed, f"{name}/expand1x1", 8, 1),
                conv(squeezed, f"{name}/expand3x3", 8),
                layer("Concat", f"{name}/expand1x1,{name}/expand3x3", f"{name}/concat"),
            ]
        )

    return "\n".join(
        [
            conv("data", "conv1", 16, 3, "stride: 2 pad: 0"),
            pool("conv1", "pool1", 3, 2),
            fire("pool1", "fire2"),
            fire("fire2/concat", "fire3"),
            layer("Dropout", "fire3/concat", "fire3/concat", name="drop9", dropout_param="dropout_ratio: 0.5"),
            conv("fire3/concat", "conv10", 10, 1),
            layer("Pooling", "conv10", "pool10", pooling_param="pool: AVE global_pooling: true"),
            layer("Softmax", "pool10", "prob"),
        ]
    )


def fcn() -> str:
    """FCN-16s (Long et al. 2015): a skip, two bilinear-like deconvolutions, crops to the size of others."""
    up = "num_output: 5 kernel_size: 4 stride: 2 bias_term: false"
    return "\n".join(
        [
            conv("data", "conv1", 8, 3, "pad: 12"),
            pool("conv1", "pool1", 2, 2),
            conv("pool1", "conv2", 8, 5, "pad: 0"),
            pool("conv2", "pool2", 2, 2),
            conv("pool1", "score_pool1", 5, 1, relu=False),
            conv("pool2", "score_fr", 5, 1, relu=False),
            layer("Deconvolution", "score_fr", "upscore2", convolution_param=up),
            layer("Crop", "score_pool1,upscore2", "score_pool1c", crop_param="axis: 2 offset: 1"),
            layer("Crop", "upscore2,score_pool1c", "upscore2c", crop_param="axis: 2 offset: 0"),
            layer("Eltwise", "upscore2c,score_pool1c", "fuse"),
            layer("Deconvolution", "fuse", "upscore", convolution_param=f"{up} group: 5"),
            layer("Crop", "upscore,data", "score", crop_param="axis: 2 offset: 11"),
        ]
    )


def pspnet() -> str:
    """PSPNet's head (Zhao et al. 2017): dilation, pyramid pooling, interpolation back, all joined."""
    parts = [conv("data", "conv1", 8, 3, "stride: 2"), conv("conv1", "conv5", 8, 3, "dilation: 2 pad: 2")]
    for bins, kernel in ((1, 30), (2, 15), (3, 10)):
        parts += [
            pool("conv5", f"pool{bins}", kernel, kernel, "AVE"),
            conv(f"pool{bins}", f"pool{bins}_conv", 3, 1),
            layer("Interp", f"pool{bins}_conv", f"pool{bins}_interp", interp_param="height: 30 width: 30"),
        ]
    parts += [
        layer("Concat", "conv5,pool1_interp,pool2_interp,pool3_interp", "joined"),
        conv("joined", "conv6", 5, 1, relu=False),
        layer("Interp", "conv6", "score", interp_param="zoom_factor: 2"),
    ]
    return "\n".join(parts)


def ssd_head(share_location: bool, code: str) -> str:
    """Two feature maps with their boxes, scores and priors, and the detections (Liu et al. 2016)."""
    classes, parts = 4, [conv("data", "conv1", 8, 3, "stride: 4"), conv("conv1", "conv2", 8, 3, "stride: 2")]
    for source, small in (("conv1", 20), ("conv2", 40)):
        numbers = 4 * (1 if share_location else classes)
        for kind, count in (("loc", numbers), ("conf", classes)):
            raw = f"{source}_{kind}"
            parts += [
                conv(source, raw, 4 * count, 3, relu=False),
                layer("Permute", raw, f"{raw}_perm", permute_param="order: 0 order: 2 order: 3 order: 1"),
                layer("Flatten", f"{raw}_perm", f"{raw}_flat"),
            ]
        sizes = f"min_size: {small} max_size: {small * 2} aspect_ratio: 2 flip: true clip: false"
        variances = "variance: 0.1 variance: 0.1 variance: 0.2 variance: 0.2"
        parts.append(layer("PriorBox", f"{source},data", f"{source}_prior", prior_box_param=f"{sizes} {variances}"))
    for kind, axis in (("loc_flat", 1), ("conf_flat", 1), ("prior", 2)):
        bottoms = f"conv1_{kind},conv2_{kind}"
        parts.append(layer("Concat", bottoms, f"mbox_{kind}", concat_param=f"axis: {axis}"))
    bottoms = "mbox_loc_flat,mbox_conf_out,mbox_prior"
    detection = (
        f"num_classes: {classes} share_location: {str(share_location).lower()} background_label_id: 0 keep_top_k: 25 "
        f"nms_param {{ nms_threshold: 0.45 top_k: 40 }} code_type: {code} confidence_threshold: 0.2"
    )
    return "\n".join(
        [
            *parts,
            layer("Reshape", "mbox_conf_flat", "mbox_conf", reshape_param=f"shape {{ dim: 0 dim: -1 dim: {classes} }}"),
            layer("Softmax", "mbox_conf", "mbox_soft", softmax_param="axis: 2"),
            layer("Flatten", "mbox_soft", "mbox_conf_out"),
            layer(
                "DetectionOutput", "mbox_loc_flat,mbox_conf_out,mbox_prior", "found", detection_output_param=detection
            ),
        ]
    )


# name -> (prototxt's layers, side of the image, output)
NETWORKS = {
    "caffenet": (caffenet(), 227, "prob"),
    "vgg": (vgg(), 64, "prob"),
    "googlenet": (googlenet(), 120, "prob"),
    "resnet": (resnet(), 95, "prob"),
    "mobilenet": (mobilenet(), 64, "prob"),
    "squeezenet": (squeezenet(), 63, "prob"),
    "fcn": (fcn(), 45, "score"),
    "pspnet": (pspnet(), 60, "score"),
}

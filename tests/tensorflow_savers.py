"""Writes what TensorFlow saves, for tests that are told where one is installed; started by path with that Python.

python tensorflow_savers.py FOLDER: FOLDER/trained (a checkpoint of tf.train.Saver, with partitioned variables),
FOLDER/keras (tf.saved_model.save of a Keras model), and FOLDER/NAME.npz: an image x and what comes of it, y.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np

os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
import tensorflow as tf

v1 = tf.compat.v1


def save_trained(folder: Path, images: np.ndarray) -> None:
    """A step of training, then all that a training saves."""
    with tf.Graph().as_default():
        image = v1.placeholder(tf.float32, (None, 8, 8, 3), name="image")
        labels = v1.placeholder(tf.int32, (None,), name="labels")
        normal = v1.random_normal_initializer(stddev=0.3, seed=1)
        kernel = v1.get_variable("conv/kernel", (3, 3, 3, 6), initializer=normal, use_resource=False)
        hidden = tf.reduce_mean(tf.nn.relu(tf.nn.conv2d(image, kernel, 1, "SAME")), [1, 2])
        with v1.variable_scope("dense", partitioner=v1.fixed_size_partitioner(3, axis=1)):
            weights = v1.get_variable("w", (6, 200), initializer=normal, use_resource=False)
        bias = v1.get_variable("bias", (200,), initializer=normal, use_resource=True)
        logits = tf.matmul(hidden, weights) + bias
        scores = tf.nn.softmax(logits, name="scores")
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
        correct = tf.equal(tf.argmax(scores, 1, output_type=tf.int32), labels)
        v1.summary.scalar("accuracy", tf.reduce_mean(tf.cast(correct, tf.float32)))
        step = v1.train.AdamOptimizer().minimize(loss, global_step=v1.train.get_or_create_global_step())
        with v1.Session() as session:
            session.run(v1.global_variables_initializer())
            session.run(step, {image: images, labels: [1, 2]})
            v1.train.Saver().save(session, str(folder / "trained" / "model.ckpt"), global_step=3)
            np.savez(folder / "trained.npz", x=images, y=session.run(scores, {image: images}))


def save_keras(folder: Path, images: np.ndarray) -> None:
    """Two convolutions of the same variable names, one normalised."""
    layers = tf.keras.layers
    image = tf.keras.Input((8, 8, 3))
    hidden = layers.Conv2D(4, 3, name="same")(image)
    hidden = layers.ReLU()(layers.BatchNormalization()(hidden))
    inner = tf.keras.Sequential([layers.Conv2D(5, 3, name="same"), layers.GlobalAveragePooling2D()], name="inner")
    model = tf.keras.Model(image, inner(hidden))
    random = np.random.default_rng(0)
    for variable in model.weights:
        variable.assign(random.uniform(0.2, 1, variable.shape))
    tf.saved_model.save(model, str(folder / "keras"))
    np.savez(folder / "keras.npz", x=images, y=np.asarray(model(images)))


if __name__ == "__main__":
    noise = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype(np.float32)
    save_trained(Path(sys.argv[1]), noise)
    save_keras(Path(sys.argv[1]), noise)

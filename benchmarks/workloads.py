"""The models that are trained in the benchmarks, and how long.

All learn scikit-learn's handwritten digits, which come with it: nothing is downloaded. Images are
8x8 pixels, so that even a large network has a step that one core can afford.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

#: A model is trained for this many epochs of the same length; the first one pays what is paid once.
EPOCHS = 4


@dataclass(frozen=True)
class Workload:
    """One model and the length of its runs.

    Attributes:
        name: what it is called on the command line.
        about: what it is, in a few words.
        network: returns the compiled model.
        inputs: turns images, `float32[N, 8, 8, 1]` in [0, 1], into what the model takes.
        batch: samples per training step.
        steps: training steps of a run, unless the command line says another number; fewer where
            a step is expensive.
        rounds: how often each contender runs beside a bare run, unless the command line says so.
        layer: name of the layer for Grad-CAM; None if there is no convolution.
    """

    name: str
    about: str
    network: Callable[[], Any]
    inputs: Callable[[Any], Any]
    batch: int
    steps: int
    rounds: int
    layer: str | None = None

    def data(self) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
        """Returns (training, held-out) pairs (x, y) of 1437 and 360 samples."""
        from tfdiag.demo import digits

        (x, y), (x_held, y_held) = digits()
        return (self.inputs(x), y), (self.inputs(x_held), y_held)


def cnn() -> Any:
    """Returns four layers with 49 thousand parameters."""
    import keras
    from keras import layers

    image = keras.Input((8, 8, 1))
    x = layers.Conv2D(16, 3, padding="same", activation="relu")(image)
    x = layers.Conv2D(32, 3, padding="same", activation="relu", name="last_conv")(x)
    x = layers.Flatten()(layers.MaxPooling2D()(x))
    x = layers.Dense(84, activation="relu")(x)
    return _compiled(image, x, keras.optimizers.SGD(0.05))


def mlp() -> Any:
    """Returns fully connected layers with 8 million parameters."""
    import keras
    from keras import layers

    pixels = x = keras.Input((64,))
    for units in (2000, 2000, 1900):
        x = layers.Dense(units, activation="relu")(x)
    return _compiled(pixels, x, keras.optimizers.Adam(1e-4))


def resnet() -> Any:
    """Returns a ResNet with one block per stage, 2.25 times as wide: 25 million parameters.

    Source: He et al. (2015), "Deep Residual Learning for Image Recognition", arXiv:1512.03385.
    """
    import keras
    from keras import layers

    def block(x: Any, filters: int, stride: int, name: str) -> Any:
        shortcut = x
        if x.shape[-1] != filters:
            shortcut = layers.Conv2D(filters, 1, strides=stride, use_bias=False)(x)
        x = layers.Conv2D(filters, 3, strides=stride, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        x = layers.Add()([layers.BatchNormalization()(x), shortcut])
        return layers.ReLU(name=name)(x)

    image = keras.Input((8, 8, 1))
    x = layers.Conv2D(144, 3, padding="same", activation="relu")(image)
    for stage, (filters, stride) in enumerate([(144, 1), (288, 2), (576, 2), (1152, 2)]):
        x = block(x, filters, stride, f"stage_{stage}")
    x = layers.GlobalAveragePooling2D()(x)
    return _compiled(image, x, keras.optimizers.SGD(0.01, momentum=0.9))


def transformer() -> Any:
    """Returns two encoder blocks on 16 tokens, which are the grey values of 2x2 pixels.

    Source: Vaswani et al. (2017), "Attention Is All You Need", arXiv:1706.03762.
    """
    import keras
    from keras import layers, ops

    tokens = keras.Input((16,), dtype="int32")
    x = layers.Embedding(17, 64)(tokens) + layers.Embedding(16, 64)(ops.arange(16))
    for _ in range(2):
        attended = layers.MultiHeadAttention(4, 16)(x, x)
        x = layers.LayerNormalization()(x + attended)
        hidden = layers.Dense(128, activation="gelu")(x)
        x = layers.LayerNormalization()(x + layers.Dense(64)(hidden))
    return _compiled(tokens, layers.GlobalAveragePooling1D()(x), keras.optimizers.Adam(1e-3))


def _compiled(inputs: Any, features: Any, optimizer: Any) -> Any:
    import keras

    model = keras.Model(inputs, keras.layers.Dense(10, activation="softmax")(features))
    model.compile(optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def _images(x: Any) -> Any:
    return x


def _pixels(x: Any) -> Any:
    return x.reshape(len(x), 64)


def _tokens(x: Any) -> Any:
    means = x.reshape(len(x), 4, 2, 4, 2).mean(axis=(2, 4))
    return (16 * means).astype("int32").reshape(len(x), 16)


WORKLOADS: tuple[Workload, ...] = (
    Workload("cnn", "small convolutional network, SGD", cnn, _images, 32, 2000, 11, "last_conv"),
    Workload("mlp", "fully connected network, Adam", mlp, _pixels, 32, 400, 5),
    Workload(
        "resnet",
        "ResNet-10, 2.25 times as wide, SGD with momentum",
        resnet,
        _images,
        8,
        80,
        3,
        "stage_2",
    ),
    Workload("transformer", "two encoder blocks, Adam", transformer, _tokens, 32, 1000, 11),
)

"""Healthy programs of different kinds, on data that comes with scikit-learn.

The folds are fixed: thresholds are tuned on A, and what was learned must hold on B, which has no
program of A. TensorFlow is imported when it is used.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.faults.case import (
    Case,
    accuracy,
    balanced_accuracy,
    explained,
    label_accuracy,
)

#: Training and held-out pairs (x, y).
Split = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Program:
    """A healthy program.

    Attributes:
        name: what it is called on the command line.
        fold: "A", to tune on, or "B", held back.
        about: what it is, in a few words.
        reference: what its score reaches at least if it is healthy.
        build: returns the training; the seeds are set by then.
    """

    name: str
    fold: str
    about: str
    reference: float
    build: Callable[[], Case]


PROGRAMS: list[Program] = []


def program(name: str, **facts: Any) -> Callable[[Callable[[], Case]], Callable[[], Case]]:
    """Returns a decorator that appends a program to `PROGRAMS`."""

    def decorate(build: Callable[[], Case]) -> Callable[[], Case]:
        PROGRAMS.append(Program(name=name, build=build, **facts))
        return build

    return decorate


def digits() -> Split:
    """Returns images `float32[N, 8, 8, 1]` in [0, 1] and classes from 0 to 9."""
    from tfdiag.demo import digits

    (x, y), (x_held, y_held) = digits()
    return x, y, x_held, y_held


def split(x: np.ndarray, y: np.ndarray) -> Split:
    """Returns standardised `x` and `y`, a quarter of it held out."""
    from sklearn.model_selection import train_test_split

    x, x_held, y, y_held = train_test_split(x, y, test_size=0.25, random_state=0)
    mean, scale = x.mean(axis=0), x.std(axis=0)
    x, x_held = (((part - mean) / scale).astype("float32") for part in (x, x_held))
    return x, y, x_held, y_held


def diabetes() -> Split:
    """Returns standardised measurements of patients, and the disease's progress, 25 to 346."""
    from sklearn.datasets import load_diabetes

    x, y, x_held, y_held = split(*load_diabetes(return_X_y=True))
    return x, y.astype("float32")[:, None], x_held, y_held.astype("float32")[:, None]


def classifier(inputs: Any, outputs: Any, data: Split, **facts: Any) -> Case:
    """Returns the training of a network that tells classes."""
    import keras

    return Case(
        keras.Model(inputs, outputs),
        *data,
        task="classes",
        loss="sparse_categorical_crossentropy",
        score=accuracy,
        **facts,
    )


@program("mlp", fold="A", about="dense layers with dropout on digits", reference=0.93)
def mlp() -> Case:
    import keras
    from keras import layers

    x = pixels = keras.Input((64,), name="pixels")
    x = layers.Dense(64, activation="relu", name="dense_1")(x)
    x = layers.Dropout(0.2, name="dropout")(x)
    x = layers.Dense(32, activation="relu", name="dense_2")(x)
    x = layers.Dense(10, activation="softmax", name="digit")(x)
    return classifier(pixels, x, flat(digits()), settings={"learning_rate": 3e-3})


def flat(data: Split) -> Split:
    """Returns images as vectors."""
    x, y, x_held, y_held = data
    return x.reshape(len(x), -1), y, x_held.reshape(len(x_held), -1), y_held


@program("cnn", fold="B", about="convolutions on digits, plain SGD", reference=0.93)
def cnn() -> Case:
    import keras
    from keras import layers

    x = image = keras.Input((8, 8, 1), name="image")
    x = layers.Conv2D(8, 3, padding="same", activation="relu", name="conv_1")(x)
    x = layers.Conv2D(16, 3, padding="same", activation="relu", name="conv_2")(x)
    x = layers.MaxPooling2D(name="pool")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(32, activation="relu", name="dense")(x)
    x = layers.Dense(10, activation="softmax", name="digit")(x)
    return classifier(image, x, digits(), optimizer="SGD", settings={"learning_rate": 0.1})


@program("regression", fold="A", about="one value, standardised, of patients' data", reference=0.25)
def regression() -> Case:
    x, y, x_held, y_held = diabetes()
    mean, scale = y.mean(), y.std()
    data = x, (y - mean) / scale, x_held, (y_held - mean) / scale
    return values(data, optimizer="SGD", settings={"learning_rate": 0.02}, epochs=30)


def values(data: Split, **facts: Any) -> Case:
    """Returns the training of a network that estimates one value."""
    import keras
    from keras import layers

    x = patient = keras.Input((10,), name="patient")
    x = layers.Dense(16, activation="relu", name="dense_1")(x)
    x = layers.Dense(16, activation="relu", name="dense_2")(x)
    x = layers.Dense(1, name="progress")(x)
    model = keras.Model(patient, x)
    return Case(model, *data, task="values", loss="mse", score=explained, **facts)


@program(
    "regression-raw", fold="B", about="the same with the value as it is, 25 to 346", reference=0.25
)
def regression_raw() -> Case:
    return values(diabetes(), settings={"learning_rate": 0.01}, epochs=40)


@program("imbalanced", fold="A", about="whether a digit is an 8, one in ten", reference=0.78)
def imbalanced() -> Case:
    import keras
    from keras import layers

    x, y, x_held, y_held = flat(digits())
    pixels = keras.Input((64,), name="pixels")
    h = layers.Dense(32, activation="gelu", name="dense_1")(pixels)
    h = layers.Dense(16, activation="gelu", name="dense_2")(h)
    h = layers.Dense(1, activation="sigmoid", name="is_eight")(h)
    eight, eight_held = ((part == 8).astype("float32")[:, None] for part in (y, y_held))
    return Case(
        keras.Model(pixels, h),
        *(x, eight, x_held, eight_held),
        task="binary",
        loss="binary_crossentropy",
        score=balanced_accuracy,
        settings={"learning_rate": 5e-3},
    )


@program("multi-label", fold="B", about="four properties of a digit at once", reference=0.93)
def multi_label() -> Case:
    import keras
    from keras import layers

    x, y, x_held, y_held = flat(digits())
    pixels = keras.Input((64,), name="pixels")
    h = layers.Dense(64, activation="elu", name="dense_1")(pixels)
    h = layers.Dropout(0.2, name="dropout")(h)
    h = layers.Dense(64, activation="elu", name="dense_2")(h)
    h = layers.Dense(4, activation="sigmoid", name="properties")(h)
    return Case(
        keras.Model(pixels, h),
        *(x, properties(y), x_held, properties(y_held)),
        task="labels",
        loss="binary_crossentropy",
        score=label_accuracy,
        optimizer="RMSprop",
        settings={"learning_rate": 2e-3},
    )


def properties(digit: np.ndarray) -> np.ndarray:
    """Returns whether a digit is even, prime, above four, and a multiple of three."""
    prime = np.isin(digit, (2, 3, 5, 7))
    return np.stack([digit % 2 == 0, prime, digit > 4, digit % 3 == 0], axis=1).astype("float32")


@program("lstm", fold="A", about="an LSTM on the rows of digits", reference=0.9)
def lstm() -> Case:
    import keras
    from keras import layers

    rows = keras.Input((8, 8), name="rows")
    x = layers.LSTM(32, name="lstm")(rows)
    x = layers.Dense(10, activation="softmax", name="digit")(x)
    return classifier(rows, x, in_rows(digits()), settings={"learning_rate": 1e-2})


def in_rows(data: Split) -> Split:
    """Returns images as sequences of eight rows."""
    x, y, x_held, y_held = data
    return x[..., 0], y, x_held[..., 0], y_held


@program("transformer", fold="B", about="attention over the rows of digits", reference=0.9)
def transformer() -> Case:
    import keras
    from keras import layers

    x, y, x_held, y_held = in_rows(digits())
    tokens = keras.Input((8, 16), name="tokens")
    h = layers.Dense(32, name="project")(tokens)
    a = layers.LayerNormalization(name="norm_1")(h)
    h = layers.Add(name="add_1")([h, layers.MultiHeadAttention(2, 16, name="attention")(a, a)])
    f = layers.Dense(64, activation="gelu", name="expand")(
        layers.LayerNormalization(name="norm_2")(h)
    )
    f = layers.Dropout(0.1, name="dropout")(f)
    h = layers.Add(name="add_2")([h, layers.Dense(32, name="contract")(f)])
    h = layers.GlobalAveragePooling1D(name="pool")(layers.LayerNormalization(name="norm_3")(h))
    h = layers.Dense(10, activation="softmax", name="digit")(h)
    data = with_position(x), y, with_position(x_held), y_held
    return classifier(tokens, h, data, settings={"learning_rate": 3e-3}, batch=48)


def with_position(rows: np.ndarray) -> np.ndarray:
    """Returns rows with their number beside them, one-hot."""
    place = np.broadcast_to(np.eye(8, dtype="float32"), (len(rows), 8, 8))
    return np.concatenate([rows, place], axis=-1)


@program("residual", fold="A", about="residual branches that start at zero, SGD", reference=0.93)
def residual() -> Case:
    import keras
    from keras import layers

    x = image = keras.Input((8, 8, 1), name="image")
    x = layers.Conv2D(8, 3, padding="same", name="stem")(x)
    for block in (1, 2):
        b = layers.BatchNormalization(name=f"norm_{block}a")(x)
        b = layers.Activation("relu", name=f"relu_{block}a")(b)
        b = layers.Conv2D(8, 3, padding="same", use_bias=False, name=f"conv_{block}a")(b)
        b = layers.BatchNormalization(name=f"norm_{block}b")(b)
        b = layers.Activation("relu", name=f"relu_{block}b")(b)
        zero = {"kernel_initializer": "zeros", "name": f"conv_{block}b"}
        b = layers.Conv2D(8, 3, padding="same", **zero)(b)
        x = layers.Add(name=f"add_{block}")([x, b])
    x = layers.Flatten(name="flatten")(layers.MaxPooling2D(name="pool")(x))
    x = layers.Dense(10, activation="softmax", name="digit")(x)
    settings = {"learning_rate": 0.02, "momentum": 0.9}
    return classifier(image, x, digits(), optimizer="SGD", settings=settings, epochs=7)


@program("deep-tanh", fold="B", about="seven layers of tanh, normalised, on tumours", reference=0.9)
def deep_tanh() -> Case:
    import keras
    from keras import layers
    from sklearn.datasets import load_breast_cancer

    x, y, x_held, y_held = split(*load_breast_cancer(return_X_y=True))
    h = cell = keras.Input((30,), name="cell")
    for depth in range(1, 8):
        h = layers.Dense(16, use_bias=False, name=f"dense_{depth}")(h)
        h = layers.BatchNormalization(name=f"norm_{depth}")(h)
        h = layers.Activation("tanh", name=f"tanh_{depth}")(h)
    h = layers.Dense(1, activation="sigmoid", name="benign")(h)
    y, y_held = (part.astype("float32")[:, None] for part in (y, y_held))
    return Case(
        keras.Model(cell, h),
        *(x, y, x_held, y_held),
        task="binary",
        loss="binary_crossentropy",
        score=balanced_accuracy,
        settings={"learning_rate": 2e-3},
        epochs=25,
    )


@program("autoencoder", fold="B", about="digits through twelve numbers and back", reference=0.5)
def autoencoder() -> Case:
    import keras
    from keras import layers

    x, _, x_held, _ = flat(digits())
    h = pixels = keras.Input((64,), name="pixels")
    h = layers.Dense(32, activation="relu", name="encode_1")(h)
    h = layers.Dense(12, name="code")(h)
    h = layers.Dense(32, activation="relu", name="decode_1")(h)
    h = layers.Dense(64, activation="sigmoid", name="picture")(h)
    model = keras.Model(pixels, h)
    data = x, x.copy(), x_held, x_held.copy()
    return Case(
        model,
        *data,
        task="values",
        loss="mse",
        score=explained,
        settings={"learning_rate": 5e-3},
        epochs=12,
    )


@program("tokens", fold="A", about="embedded tokens, averaged, as text is", reference=0.85)
def tokens() -> Case:
    import keras
    from keras import layers

    x, y, x_held, y_held = flat(digits())
    words = keras.Input((64,), dtype="int32", name="words")
    h = layers.Embedding(64 * 5, 16, name="embedding")(words)
    h = layers.GlobalAveragePooling1D(name="average")(h)
    h = layers.Dense(32, activation="relu", name="dense")(h)
    h = layers.Dense(10, activation="softmax", name="digit")(h)
    data = as_words(x), y, as_words(x_held), y_held
    return classifier(words, h, data, settings={"learning_rate": 1e-2}, epochs=10)


def as_words(pixels: np.ndarray) -> np.ndarray:
    """Returns each pixel as a word that says its place and one of five shades."""
    return (np.arange(64) * 5 + np.rint(pixels * 4)).astype("int32")


@program("fine-tuning", fold="B", about="a new head on a frozen backbone", reference=0.9)
def fine_tuning() -> Case:
    import keras

    x, y, x_held, y_held = digits()
    model = backbone("new")
    for layer in model.layers[:-2]:
        layer.trainable = False

    def prepare(model: keras.Model) -> None:
        for layer, weights in zip(model.layers[:-2], pretrained(), strict=True):
            if layer.weights:  # a fault may have put another layer in its place
                layer.set_weights(weights)

    new, new_held = y >= 5, y_held >= 5
    case = classifier(
        model.inputs,
        model.outputs,
        (x[new], y[new] - 5, x_held[new_held], y_held[new_held] - 5),
        settings={"learning_rate": 5e-3},
        epochs=15,
    )
    case.prepare = prepare
    return case


def backbone(head: str) -> Any:
    """Returns convolutions with a head of two layers that tells five digits."""
    import keras
    from keras import layers

    h = image = keras.Input((8, 8, 1), name="image")
    for block in (1, 2):
        h = layers.Conv2D(16, 3, padding="same", use_bias=False, name=f"conv_{block}")(h)
        h = layers.BatchNormalization(name=f"norm_{block}")(h)
        h = layers.Activation("relu", name=f"relu_{block}")(h)
    h = layers.Flatten(name="flatten")(layers.MaxPooling2D(name="pool")(h))
    h = layers.Dense(32, activation="relu", name=f"{head}_dense")(h)
    return keras.Model(image, layers.Dense(5, activation="softmax", name=f"{head}_digit")(h))


@functools.cache
def pretrained() -> list[list[np.ndarray]]:
    """Returns the weights of the backbone's layers after it has learned the digits 0 to 4."""
    import keras

    x, y, _, _ = digits()
    model = backbone("old")
    model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy")
    model.fit(x[y < 5], y[y < 5], batch_size=32, epochs=5, verbose=0)
    return [layer.get_weights() for layer in model.layers[:-2]]


@program("mixed-precision", fold="A", about="float16 with batch normalisation", reference=0.93)
def mixed_precision() -> Case:
    import keras
    from keras import layers

    half = {"dtype": "mixed_float16"}
    h = pixels = keras.Input((64,), name="pixels")
    for depth in (1, 2):
        h = layers.Dense(64, name=f"dense_{depth}", **half)(h)
        h = layers.BatchNormalization(name=f"norm_{depth}", **half)(h)
        h = layers.Activation("relu", name=f"relu_{depth}", **half)(h)
    h = layers.Dropout(0.2, name="dropout", **half)(h)
    h = layers.Dense(10, activation="softmax", name="digit", dtype="float32")(h)
    case = classifier(pixels, h, flat(digits()), settings={"learning_rate": 2e-3}, epochs=8)

    def prepare(model: keras.Model) -> None:
        model.dtype_policy = keras.DTypePolicy("mixed_float16")  # so Keras scales the loss

    case.prepare = prepare
    return case

"""Small Keras models of every kind that the tests take apart."""

import keras
import numpy as np
from keras import layers


def images(samples=48, seed=0):
    """Returns (x, y): `float32[N, 8, 8, 1]` and `int64[N]`, ten classes."""
    random = np.random.default_rng(seed)
    return random.random((samples, 8, 8, 1)).astype("float32"), random.integers(0, 10, samples)


def sequential():
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(6, 3, activation="relu", name="conv_1"),
            layers.BatchNormalization(name="norm"),
            layers.Conv2D(4, 3, activation="tanh", name="conv_2"),
            layers.Flatten(name="flatten"),
            layers.Dropout(0.3, name="dropout"),
            layers.Dense(8, activation="relu", name="dense"),
            layers.Dense(10, activation="softmax", name="head"),
        ]
    )


def unbuilt():
    return keras.Sequential(
        [
            layers.Conv2D(6, 3, activation="relu", name="conv_1"),
            layers.GlobalAveragePooling2D(name="pool"),
            layers.Dense(10, activation="softmax", name="head"),
        ]
    )


def functional():
    image = keras.Input((8, 8, 1), name="image")
    x = layers.Conv2D(4, 3, activation="relu", name="conv_1")(image)
    branch = layers.Conv2D(4, 3, padding="same", activation="sigmoid", name="gate")(x)
    x = layers.Multiply(name="scale")([x, branch])
    x = layers.Flatten(name="flatten")(x)
    logits = layers.Dense(10, name="logits")(x)
    return keras.Model(image, layers.Softmax(name="softmax")(logits))


def nested():
    backbone = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(5, 3, activation="relu", name="conv_1"),
            layers.Conv2D(4, 3, activation="relu", name="conv_2"),
        ],
        name="backbone",
    )
    image = keras.Input((8, 8, 1))
    x = layers.GlobalAveragePooling2D(name="pool")(backbone(image))
    return keras.Model(image, layers.Dense(10, activation="softmax", name="head")(x))


@keras.saving.register_keras_serializable("tests")
class Subclassed(keras.Model):
    """A model without a graph that Keras could show."""

    def __init__(self):
        super().__init__()
        self.conv_1 = layers.Conv2D(5, 3, activation="relu", name="conv_1")
        self.conv_2 = layers.Conv2D(4, 3, activation="relu", name="conv_2")
        self.pool = layers.GlobalAveragePooling2D(name="pool")
        self.head = layers.Dense(10, activation="softmax", name="head")

    def call(self, x):
        return self.head(self.pool(self.conv_2(self.conv_1(x))))


KINDS = {
    "sequential": sequential,
    "unbuilt": unbuilt,
    "functional": functional,
    "nested": nested,
    "subclassed": Subclassed,
}


def compiled(kind="sequential", *, seed=0, optimizer=None, **options):
    """Returns a seeded model of a kind, compiled for `images`."""
    keras.utils.set_random_seed(seed)
    model = KINDS[kind]()
    model.compile(
        optimizer=optimizer or keras.optimizers.SGD(0.05),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
        **options,
    )
    return model

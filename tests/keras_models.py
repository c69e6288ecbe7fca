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


def every_third(value):
    """Returns an initializer that gives every third unit `value`, and the others 0."""

    def initialize(shape, dtype=None):
        values = np.zeros(shape, "float32")
        values[..., ::3] = value
        return values

    return initialize


def dying(units, name, kind=layers.Dense, *arguments, **options):
    """Returns a layer with a ReLU, every third unit of which is dead."""
    options = {"bias_initializer": every_third(-99.0), **options}
    return kind(units, *arguments, activation="relu", name=name, **options)


def saturating(units, name, activation="tanh"):
    """Returns a layer every third unit of which is saturated."""
    return layers.Dense(units, activation, bias_initializer=every_third(99.0), name=name)


def many_ends():
    """Two inputs and two outputs, in lists."""
    left, right = keras.Input((4,), name="left"), keras.Input((3,), name="right")
    one, two = dying(5, "from_left")(left), saturating(4, "from_right")(right)
    joined = layers.Concatenate(name="joined")([one, two])
    first = layers.Dense(2, name="first")(joined)
    return keras.Model([left, right], [first, layers.Dense(3, name="second")(one)])


def named_ends():
    """Two inputs and two outputs, in dicts."""
    inputs = {"left": keras.Input((4,), name="left"), "right": keras.Input((3,), name="right")}
    one, two = dying(5, "from_left")(inputs["left"]), dying(4, "from_right")(inputs["right"])
    joined = layers.Concatenate(name="joined")([one, two])
    outputs = {
        "value": layers.Dense(2, name="value")(joined),
        "kind": layers.Dense(3, activation="softmax", name="kind")(joined),
    }
    return keras.Model(inputs, outputs)


def poisoned():
    """Two outputs; a weight of the second one is NaN."""
    image = keras.Input((4,))
    trunk = layers.Dense(5, activation="sigmoid", name="trunk")(image)
    well, ill = layers.Dense(4, name="well")(image), layers.Dense(4, name="ill")(trunk)
    poison = layers.Dense(3, bias_initializer=every_third(np.nan), name="poison")(ill)
    return keras.Model(image, [layers.Dense(2, name="first")(well), poison])


def two_deep():
    inner = keras.Sequential([keras.Input((4,)), dying(5, "a"), saturating(4, "b")], name="inner")
    entry = keras.Input((4,))
    hidden = layers.Dense(3, activation="relu", name="c")(inner(entry))
    middle = keras.Model(entry, hidden, name="middle")
    start = keras.Input((4,))
    return keras.Model(start, layers.Dense(2, name="head")(middle(start)))


class Frame(keras.Model):
    """A subclassed model around a Functional one and a layer made of layers."""

    def __init__(self):
        super().__init__()
        entry = keras.Input((4,))
        self.trunk = keras.Model(entry, dying(5, "a")(entry), name="trunk")
        self.tail = Pair(name="tail")

    def call(self, x):
        return self.tail(self.trunk(x))


class Pair(layers.Layer):
    """A layer that is made of layers."""

    def __init__(self, **options):
        super().__init__(**options)
        self.first, self.second = dying(4, "first"), layers.Dense(2, name="second")

    def call(self, x):
        return self.second(self.first(x))


def backbone_in_head():
    """A frozen convolutional backbone with BatchNormalization, and a head to be trained."""
    entry = keras.Input((8, 8, 1))
    hidden = dying(4, "conv", layers.Conv2D, 3)(entry)
    hidden = layers.BatchNormalization(name="norm")(hidden)
    backbone = keras.Model(entry, hidden, name="backbone")
    backbone.trainable = False
    image = keras.Input((8, 8, 1))
    pooled = layers.GlobalAveragePooling2D(name="pool")(backbone(image, training=False))
    return keras.Model(image, layers.Dense(2, name="head")(dying(5, "hidden")(pooled)))


def shared():
    left, right = keras.Input((4,), name="left"), keras.Input((4,), name="right")
    both = dying(6, "shared")
    joined = layers.Concatenate(name="joined")([both(left), both(right)])
    return keras.Model([left, right], layers.Dense(2, name="head")(joined))


class Tower(layers.Layer):
    """A layer that holds its layers in a list."""

    def __init__(self, **options):
        super().__init__(**options)
        self.steps = [dying(5, "step_1"), saturating(3, "step_2")]

    def call(self, x):
        for step in self.steps:
            x = step(x)
        return x


def siamese():
    """A layer made of layers that is called on each of two inputs."""
    left, right = keras.Input((4,), name="left"), keras.Input((4,), name="right")
    tower = Tower(name="tower")
    joined = layers.Concatenate(name="joined")([tower(left), tower(right)])
    return keras.Model([left, right], layers.Dense(2, name="head")(joined))


def twice():
    """One layer that is applied to its own output."""
    image = keras.Input((4,))
    again = dying(4, "again")
    return keras.Model(image, layers.Dense(2, name="head")(again(again(image))))


class TwiceSubclassed(keras.Model):
    """The same as `twice`, without a graph."""

    def __init__(self):
        super().__init__()
        self.again, self.head = dying(4, "again"), layers.Dense(2, name="head")

    def call(self, x):
        return self.head(self.again(self.again(x)))


def functional_ops():
    """ReLUs that are operations of a Functional model, not layers."""
    image = keras.Input((4,))
    first = layers.Dense(6, bias_initializer=every_third(-99.0), name="first")(image)
    second = layers.Dense(4, name="second")(keras.ops.relu(first))
    return keras.Model(image, layers.Dense(2, name="head")(keras.ops.relu(second)))


class CalledFunctions(keras.Model):
    """ReLUs that are functions in a subclassed `call`: of the model and of a block in it."""

    def __init__(self, function):
        super().__init__()
        self.first = layers.Dense(6, bias_initializer=every_third(-99.0), name="first")
        self.block = ActivatedPair(function, name="block")
        self.head = layers.Dense(2, name="head")
        self.function = function

    def call(self, x):
        return self.head(self.block(self.function(self.first(x))))


class ActivatedPair(layers.Layer):
    """Two layers, each with a function after it."""

    def __init__(self, function, **options):
        super().__init__(**options)
        self.one = layers.Dense(5, bias_initializer=every_third(-99.0), name="one")
        self.two = layers.Dense(4, name="two")
        self.function = function

    def call(self, x):
        return self.function(self.two(self.function(self.one(x))))


def activation_layers():
    """Activations that are layers of their own."""
    return keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(6, bias_initializer=every_third(-99.0), name="first"),
            layers.ReLU(name="relu"),
            layers.Dense(6, bias_initializer=every_third(99.0), name="second"),
            layers.Activation("tanh", name="tanh"),
            layers.Dense(2, name="head"),
        ]
    )


def without_relu():
    return keras.Sequential(
        [
            keras.Input((4,)),
            saturating(6, "first", "tanh"),
            saturating(5, "second", "sigmoid"),
            layers.Dense(4, activation="gelu", name="third"),
            layers.Dense(2, name="head"),
        ]
    )


def offset():
    """Outputs whose mean is a thousand times their deviation."""
    return keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(5, bias_initializer=keras.initializers.Constant(1000.0), name="far"),
            layers.Rescaling(1.0, offset=-1000.0, name="back"),
            layers.Dense(2, name="head"),
        ]
    )


def convolutions(dimensions):
    kind = {1: layers.Conv1D, 2: layers.Conv2D, 3: layers.Conv3D}[dimensions]
    pool = {
        1: layers.GlobalAveragePooling1D,
        2: layers.GlobalAveragePooling2D,
        3: layers.GlobalMaxPooling3D,
    }[dimensions]
    return keras.Sequential(
        [
            keras.Input((5,) * dimensions + (2,)),
            dying(4, "conv_1", kind, 3),
            kind(3, 2, activation="tanh", name="conv_2"),
            pool(name="pool"),
            layers.Dense(2, name="head"),
        ]
    )


def light_convolutions():
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.DepthwiseConv2D(
                3, activation="relu", bias_initializer=every_third(-99.0), name="depthwise"
            ),
            dying(5, "separable", layers.SeparableConv2D, 3),
            layers.MaxPooling2D(name="pool"),
            layers.Flatten(name="flatten"),
            layers.Dense(2, name="head"),
        ]
    )


def embedding(tokens, size):
    return keras.Sequential(
        [
            keras.Input((6,), dtype="int32"),
            layers.Embedding(tokens, size, name="embedding"),
            layers.GlobalAveragePooling1D(name="pool"),
            dying(4, "hidden"),
            layers.Dense(2, name="head"),
        ]
    )


def recurrent():
    """An LSTM that returns its state too, and a GRU that begins with it."""
    sequence = keras.Input((5, 3))
    recall = layers.LSTM(4, return_sequences=True, return_state=True, name="lstm")
    whole, state, _ = recall(sequence)
    last = layers.GRU(4, name="gru")(whole, initial_state=state)
    return keras.Model(sequence, layers.Dense(2, name="head")(last))


def bidirectional():
    return keras.Sequential(
        [
            keras.Input((5, 3)),
            layers.Bidirectional(layers.LSTM(4, return_sequences=True), name="both_ways"),
            layers.TimeDistributed(layers.Dense(3), name="each_step"),
            layers.Flatten(name="flatten"),
            layers.Dense(2, name="head"),
        ]
    )


def attention():
    tokens = keras.Input((6,), dtype="int32")
    x = layers.Embedding(30, 8, name="embedding")(tokens)
    x = layers.MultiHeadAttention(2, 4, name="attention")(x, x)
    x = layers.Flatten(name="flatten")(x)
    return keras.Model(tokens, layers.Dense(2, name="head")(x))


class TransformerBlock(layers.Layer):
    """Attention and two dense layers, with residuals and dropout."""

    def __init__(self, size, **options):
        super().__init__(**options)
        self.attention = layers.MultiHeadAttention(2, size // 2, name="attention")
        self.norm_1 = layers.LayerNormalization(name="norm_1")
        self.expand = dying(2 * size, "expand")
        self.contract = layers.Dense(size, name="contract")
        self.dropout = layers.Dropout(0.3, seed=3, name="dropout")
        self.norm_2 = layers.LayerNormalization(name="norm_2")

    def call(self, x, training=None):
        x = self.norm_1(x + self.attention(x, x))
        y = self.contract(self.expand(x))
        return self.norm_2(x + self.dropout(y, training=training))


def transformer():
    tokens = keras.Input((6,), dtype="int32")
    x = layers.Embedding(30, 8, name="embedding")(tokens)
    x = layers.GlobalAveragePooling1D(name="pool")(TransformerBlock(8, name="block")(x))
    return keras.Model(tokens, layers.Dense(2, name="head")(x))


def normalizations():
    return keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            layers.Conv2D(4, 3, name="conv"),
            layers.BatchNormalization(name="batch_norm"),
            layers.ReLU(name="relu"),
            layers.LayerNormalization(name="layer_norm"),
            layers.SpatialDropout2D(0.3, name="spatial_dropout"),
            layers.GroupNormalization(2, name="group_norm"),
            layers.Flatten(name="flatten"),
            layers.Dropout(0.4, name="dropout"),
            dying(5, "hidden"),
            layers.Dense(2, name="head"),
        ]
    )


def frozen():
    model = keras.Sequential(
        [
            keras.Input((4,)),
            dying(5, "frozen"),
            layers.BatchNormalization(name="norm"),
            dying(4, "trained"),
            layers.Dense(2, name="head"),
        ]
    )
    for name in ("frozen", "norm"):
        model.get_layer(name).trainable = False
    return model


class Unused(keras.Model):
    """A layer whose output nobody uses, and one that is never called."""

    def __init__(self):
        super().__init__()
        self.hidden = dying(5, "hidden")
        self.spare = dying(3, "spare")
        self.idle = layers.Dense(3, name="idle")
        self.head = layers.Dense(2, name="head")

    def call(self, x):
        x = self.hidden(x)
        self.spare(x)
        return self.head(x)


class Partly(layers.Layer):
    """A layer with a weight that the loss does not reach."""

    def build(self, shape):
        self.reached = self.add_weight(shape=(shape[-1], 3), name="reached")
        self.unreached = self.add_weight(shape=(7,), initializer="ones", name="unreached")

    def call(self, x):
        return x @ self.reached


def unreached():
    image = keras.Input((4,))
    return keras.Model(image, layers.Dense(2, name="head")(Partly(name="partly")(image)))


class OwnWeights(keras.Model):
    """Weights that a model and a layer made of layers hold beside those of their layers."""

    def __init__(self):
        super().__init__(name="own_weights")
        self.block = Scaled(name="block")
        self.head = layers.Dense(2, name="head")

    def build(self, shape):
        self.offset = self.add_weight(shape=(4,), name="offset")
        self.block.build(shape)
        self.head.build((None, 3))

    def call(self, x):
        return self.head(self.block(x + self.offset))


class Scaled(layers.Layer):
    """A layer with a layer and a weight of its own."""

    def __init__(self, **options):
        super().__init__(**options)
        self.hidden = layers.Dense(3, activation="relu", name="hidden")

    def build(self, shape):
        self.scale = self.add_weight(shape=(3,), initializer="ones", name="scale")
        self.hidden.build(shape)

    def call(self, x):
        return self.scale * self.hidden(x)


def regularized():
    return keras.Sequential(
        [
            keras.Input((4,)),
            dying(5, "hidden", kernel_regularizer=keras.regularizers.L2(0.1)),
            layers.Dense(2, name="head", bias_regularizer="l1"),
        ]
    )


class Penalized(layers.Layer):
    """A layer that adds to the loss from within."""

    def call(self, x):
        self.add_loss(0.1 * keras.ops.mean(x**2))
        return 2 * x


def penalized():
    return keras.Sequential(
        [
            keras.Input((4,)),
            dying(5, "hidden", activity_regularizer=keras.regularizers.L2(0.01)),
            Penalized(name="penalized"),
            layers.Dense(2, name="head"),
        ]
    )

"""All that tfdiag leans on inside Keras and TensorFlow, behind a few functions.

Private names and the order of Keras' own calls are known to this file alone. When a new Keras
moves one of them, this is the file that breaks; another Keras backend would be another such file.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras.src.backend.common import global_state

try:
    from tensorflow.python.eager import context as eager_context
except ImportError:  # then workers cannot agree, and each believes the others
    eager_context = None
try:
    from tensorflow.python.framework import op_callbacks
except ImportError:  # then functions inside `call` are not seen, layers are
    op_callbacks = None
try:
    from tensorflow.python.autograph.core import ag_ctx
    from tensorflow.python.eager.polymorphic_function import autograph_util
except ImportError:  # then a step that needs AutoGraph is not measured
    autograph_util = None

#: Hears of a layer's call: the layer and its output.
OnLayer = Callable[[keras.layers.Layer, Any], None]
#: Hears of an operation: its type, inputs, outputs, and the layers in whose `call` it is, the
#: innermost last.
OnOperation = Callable[[str, Sequence[Any], Sequence[Any], Sequence[keras.layers.Layer]], None]


# --- the training step ---


def train_function(model: keras.Model, step: Callable[[Any], Any]) -> Callable:
    """Returns what Keras builds around a `train_step`; the model keeps the one it has.

    Args:
        model: a compiled Keras model.
        step: takes a batch, returns tensors in dicts.
    """
    standing = model.train_function
    try:
        with replaced(model, "train_step", step):
            model.make_train_function(force=True)
        function = model.train_function
    finally:
        model.train_function = standing

    def with_step(iterator: Iterator) -> Any:
        # An older Keras does not hold the step: it asks the model for it at every trace.
        with replaced(model, "train_step", step):
            return function(iterator)

    return with_step


def traced_once(model: keras.Model, step: Callable[[Any], Any]) -> Callable | None:
    """Returns `step` as a function that several train functions share; None if that cannot be.

    It is traced once for all of them, and what one of them does not return is pruned from it.
    """
    if model.run_eagerly or not is_single(model):
        return None
    return tf.function(step, reduce_retracing=True, autograph=False, jit_compile=model.jit_compile)


class OneBatch:
    """The next batch of an iterator, to be taken from it as often as it takes.

    Args:
        iterator: as Keras passes it to a train function; what it raises is the user's.
    """

    def __init__(self, iterator: Iterator):
        self.spec = getattr(iterator, "element_spec", None)
        self._batch = next(iterator)

    def __iter__(self) -> OneBatch:
        return self

    def __next__(self) -> Any:
        return self._batch


def one_batch(step: Any) -> Callable[[OneBatch], Any]:
    """Returns a train function of one step per execution, without a trace of its own.

    Args:
        step: what `traced_once` returned; where nothing has traced it yet, that is done for all of
            the data that is to come, not for the first batch alone.
    """
    traced = step.experimental_get_tracing_count

    def function(iterator: OneBatch) -> Any:
        if not traced():
            spec = _without_optionals(iterator.spec)
            if all(isinstance(part, tf.TensorSpec) for part in keras.tree.flatten(spec)):
                step.get_concrete_function(spec)
        return step(_without_optionals(next(iterator)))

    return function


def _without_optionals(batch: Any) -> Any:
    """Returns a batch, or what it is made of, with None where Keras has put an empty optional."""
    kinds = (tf.experimental.Optional, tf.OptionalSpec)
    return keras.tree.map_structure(
        lambda part: None if isinstance(part, kinds) else part,
        batch,
    )


def build_optimizer(model: keras.Model) -> None:
    """Lets the optimizer create its variables, as Keras' own training step is about to do.

    Those that are created while a step is traced make TensorFlow trace it a second time. It is
    left alone where the step may train other weights than the model has by now: it never takes
    more once it was built.
    """
    optimizer = getattr(model, "optimizer", None)
    if optimizer is None or optimizer.built or not model.trainable_weights:
        return
    own = getattr(model.train_step, "__func__", None) is not keras.Model.train_step
    if own or not all(layer.built for layer in model._flatten_layers()):
        return
    with keras.name_scope(optimizer.name, caller=optimizer):
        optimizer.build(model.trainable_weights)


def is_traced(function: Any) -> bool:
    """Returns whether a function is a `tf.function`."""
    return isinstance(function, tf.types.experimental.PolymorphicFunction)


def is_jitted(function: Any) -> bool:
    """Returns whether a function is a `tf.function` that XLA compiles."""
    return is_traced(function) and bool(getattr(function, "_jit_compile", False))


def python_function(function: Any) -> Callable:
    """Returns what runs while a `tf.function` is traced; any other function as it is."""
    if not is_traced(function):
        return function
    if autograph_util is None or not getattr(function, "_autograph", True):
        return function.python_function
    options = getattr(function, "_experimental_autograph_options", None)
    converted = autograph_util.py_func_from_autograph(function.python_function, options)

    def python(*args: Any, **kwargs: Any) -> Any:
        with ag_ctx.ControlStatusCtx(ag_ctx.Status.UNSPECIFIED):  # it is disabled around it
            return converted(*args, **kwargs)

    return python


def traced_like(function: Any, other: Callable) -> Callable:
    """Returns another Python function as a `tf.function` that is made as the user's is.

    Args:
        function: the user's `tf.function`.
        other: takes the same arguments; it is not converted by AutoGraph.
    """

    @functools.wraps(function.python_function, updated=())
    def body(*args: Any, **kwargs: Any) -> Any:
        return other(*args, **kwargs)

    return tf.function(
        body,
        input_signature=function.input_signature,
        autograph=False,
        jit_compile=getattr(function, "_jit_compile", None),
        reduce_retracing=getattr(function, "_reduce_retracing", False),
    )


def graph() -> Any:
    """Returns the graph that is being traced; None while operations are run at once."""
    return None if tf.executing_eagerly() else tf.compat.v1.get_default_graph()


def is_elsewhere(jit_compile: Any) -> bool:
    """Returns whether a step's numbers are better left where they are: with XLA, on a GPU."""
    return bool(jit_compile or tf.config.list_logical_devices("GPU"))


def worker_number(strategy: tf.distribute.Strategy) -> int:
    """Returns which of the processes that train together this one is; 0 if it is alone."""
    return int(getattr(strategy.extended, "_id_in_cluster", 0))


def shared_store() -> Any:
    """Returns the store of keys and values that all processes of a training share, or None."""
    store = None if eager_context is None else eager_context.context()
    return store if hasattr(store, "set_config_key_value") else None


def is_single(model: keras.Model) -> bool:
    """Returns whether the model trains as one replica, outside of every distribution strategy."""
    return type(model.distribute_strategy).__name__ == "_DefaultDistributionStrategy"


def steps_per_execution(model: keras.Model) -> int:
    """Returns how many steps the model makes in one execution of its train function."""
    return int(getattr(model, "steps_per_execution", 1) or 1)


def optimizers(model: keras.Model) -> list[Any]:
    """Returns the optimizers that are attributes of the model, also in a list or dict."""
    found = []
    for value in vars(model).values():
        parts = value.values() if isinstance(value, dict) else value
        inside = list(parts) if isinstance(value, dict | list | tuple) else [value]
        found += [v for v in inside if isinstance(v, keras.optimizers.Optimizer)]
    return list({id(optimizer): optimizer for optimizer in found}.values())


def updated_variables(optimizer: Any, variables: list[Any] | None) -> list[Any]:
    """Returns the variables that a call of `apply` is for; builds an optimizer that is not.

    Args:
        optimizer: a Keras optimizer.
        variables: what was passed to `apply`; None for those that it was built with.
    """
    if variables is None:
        return list(optimizer._trainable_variables)
    if not optimizer.built:
        with keras.name_scope(optimizer.name):
            optimizer.build(variables)  # a loss scale does not exist before
    return variables


def loss_scale(optimizer: Any) -> Any:
    """Returns what the loss was multiplied by, so that gradients can be divided by it."""
    dynamic = getattr(optimizer, "dynamic_scale", None)
    if dynamic is not None:
        return tf.identity(dynamic.value)
    return getattr(optimizer, "loss_scale_factor", None)


def read(variable: Any) -> tf.Tensor:
    """Returns a variable's value, in the host's memory without a copy if it is there."""
    value = variable.value if isinstance(variable, keras.Variable) else variable
    if type(value).__name__ == "ResourceVariable":  # the short way, for what is done so often
        return tf.raw_ops.ReadVariableOp(resource=value.handle, dtype=value.dtype)
    return tf.convert_to_tensor(value)


def array(value: Any) -> np.ndarray:
    """Returns a tensor's numbers, without a copy if they are in the host's memory.

    One number as bfloat16 comes as float32: numpy takes it with axes only.
    """
    is_tensor = isinstance(value, tf.Tensor)
    if is_tensor and value.dtype == tf.bfloat16 and value.shape.rank == 0:
        value = tf.cast(value, tf.float32)
    return np.asarray(value)


def float32(value: Any) -> np.ndarray:
    """Returns the same as float32."""
    return array(value).astype(np.float32, copy=False)


def is_complete(model: keras.Model) -> bool:
    """Returns whether a pass over the model creates no variables any more."""
    parts = [model, getattr(model, "_compile_metrics", None), getattr(model, "_compile_loss", None)]
    return all(part is None or part.built for part in parts)


def has_own_test(model: keras.Model) -> bool:
    """Returns whether the model's `test_step` is the user's, who may have it take anything."""
    return type(model).test_step is not keras.Model.test_step


def has_loss(model: keras.Model) -> bool:
    """Returns whether the model can be tested: it has a loss, or a `test_step` of its own."""
    own = has_own_test(model) or type(model).compute_loss is not keras.Model.compute_loss
    return own or bool(model.losses) or getattr(model, "_compile_loss", None) is not None


def has_own_loss(model: keras.Model) -> bool:
    """Returns whether the model makes its loss in its own way, whatever it is compiled with."""
    own = ("train_step", "compute_loss")
    return any(getattr(type(model), name) is not getattr(keras.Model, name) for name in own)


def adds_to_loss(model: keras.Model) -> bool | None:
    """Returns whether the model adds to its loss: regularizers, `add_loss`.

    None if only a pass over the model tells: what layers of the user's own add is not known before.
    """
    layers = [model, *model._flatten_layers(include_self=False)]
    if model.losses or any(getattr(one, "activity_regularizer", None) for one in layers):
        return True
    return False if all(map(comes_with_keras, layers)) else None


def is_loss_weighted(model: keras.Model) -> bool:
    """Returns whether the model is compiled with a weight of its loss other than 1."""
    weights = getattr(getattr(model, "_compile_loss", None), "_user_loss_weights", None)
    return any(weight != 1 for weight in keras.tree.flatten(weights) if weight is not None)


@contextlib.contextmanager
def replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Sets an attribute for a while, past Keras, which tracks what is set as an attribute."""
    missing = object()
    previous = vars(owner).get(name, missing)
    vars(owner)[name] = value
    try:
        yield
    finally:
        if previous is missing:
            del vars(owner)[name]
        else:
            vars(owner)[name] = previous


# --- a forward pass ---

_local = threading.local()
_patching = threading.Lock()


class Loops:
    """Layers with a loop inside, compiled: an operation after the other they are slow."""

    def __init__(self) -> None:
        self._compiled: dict[int, Callable] = {}

    def call(self, call: Callable, layer: keras.layers.Layer) -> Callable:
        """Returns what calls the layer."""
        if not isinstance(layer, keras.layers.RNN | keras.layers.Bidirectional):
            return functools.partial(call, layer)
        if id(layer) not in self._compiled:
            self._compiled[id(layer)] = _with_masks(functools.partial(call, layer))
        return self._compiled[id(layer)]


def _with_masks(call: Callable) -> Callable:
    """Returns `call`, compiled. Keras' masks are attributes of tensors, which do not come along."""

    def masks_of(values: Any) -> list[Any]:
        return [getattr(value, "_keras_mask", None) for value in keras.tree.flatten(values)]

    def put(masks: list[Any], values: Any) -> None:
        for value, mask in zip(keras.tree.flatten(values), masks, strict=True):
            if mask is not None:
                value._keras_mask = mask

    def traced(masks: list[Any], args: Any, kwargs: Any) -> tuple[Any, list[Any]]:
        put(masks, (args, kwargs))
        output = call(*args, **kwargs)
        return output, masks_of(output)

    compiled = tf.function(traced, reduce_retracing=True, autograph=False)

    def masked(*args: Any, **kwargs: Any) -> Any:
        output, masks = compiled(masks_of((args, kwargs)), args, kwargs)
        put(masks, output)
        return output

    return masked


@contextlib.contextmanager
def watching(
    on_layer: OnLayer, on_operation: OnOperation | None = None, loops: Loops | None = None
) -> Iterator[None]:
    """Calls back for every layer and operation that this thread runs eagerly within.

    What is inside a `tf.function` of the user's own is not run eagerly and cannot be read. One
    thread at a time: the class that is patched is everybody's.

    Args:
        on_layer: called after each layer's call.
        on_operation: called after each of TensorFlow's operations.
        loops: compiled layers, to be kept between passes over the same model.
    """
    with _patching, _patched_call(loops or Loops()), _operations(on_operation):
        _local.on_layer, _local.stack = on_layer, []
        try:
            yield
        finally:
            _local.on_layer = None


@contextlib.contextmanager
def _patched_call(loops: Loops) -> Iterator[None]:
    original = keras.layers.Layer.__call__

    def call(layer: keras.layers.Layer, *args: Any, **kwargs: Any) -> Any:
        if getattr(_local, "on_layer", None) is None or not tf.executing_eagerly():
            return original(layer, *args, **kwargs)
        _local.stack.append(layer)
        try:
            output = loops.call(original, layer)(*args, **kwargs)
        finally:
            _local.stack.pop()
        _local.on_layer(layer, output)
        return output

    keras.layers.Layer.__call__ = call
    try:
        yield
    finally:
        keras.layers.Layer.__call__ = original


@contextlib.contextmanager
def _operations(on_operation: OnOperation | None) -> Iterator[None]:
    if on_operation is None or op_callbacks is None:
        yield
        return

    def callback(
        kind: Any, inputs: Any, attrs: Any, outputs: Any, op_name: Any = None, graph: Any = None
    ) -> None:
        if graph is None:
            name = kind.decode() if isinstance(kind, bytes) else kind
            on_operation(name, inputs, outputs, _local.stack)

    op_callbacks.add_op_callback(callback)
    try:
        yield
    finally:
        op_callbacks.remove_op_callback(callback)


def added_loss(model: keras.Model) -> float:
    """Returns what regularizers and `add_loss` have added in the last pass, which was eager."""
    return sum(float(keras.ops.sum(loss)) for loss in model.losses)


def clear_losses(model: keras.Model) -> None:
    """Forgets what `add_loss` has added in a pass of ours."""
    model._clear_losses()


def build(model: keras.Model, batch: Any) -> None:
    """Creates what a model has not created yet, without running it, if that can be done.

    Args:
        model: a compiled Keras model.
        batch: (x, y).
    """
    if model.built:
        return
    with contextlib.suppress(Exception):  # then the first call creates it
        if isinstance(model, keras.Sequential):  # for batches of any size
            model.build((None, *batch[0].shape[1:]))
        else:
            # It would build the optimizer too, for weights that a test step creates: too few.
            with replaced(model, "optimizer", None):
                model._symbolic_build(data_batch=(*batch, None))


def movable(model: keras.Model) -> list[Any]:
    """Returns the variables that a forward pass may move.

    Those of metrics, of layers (moving statistics, but a `call` may assign to any), seeds, and
    TensorFlow's own ones that metrics and layers hold as attributes.
    """
    variables = [variable for metric in model.metrics for variable in metric.variables]
    for layer in model._flatten_layers():
        variables += [*layer._non_trainable_variables, *layer._trainable_variables]
        variables += [generator.state for generator in layer._seed_generators]
        variables += _held(vars(layer).values())
    for metric in model.metrics:  # Keras' own holds those that were passed to `compile`
        for one in [metric, *getattr(metric, "metrics", ())]:
            variables += _held(vars(one).values())
    shared = global_state.get_global_attribute("global_seed_generator")
    if shared is not None:  # what `keras.random` takes where no seed is given
        variables.append(shared.state)
    return list({id(variable): variable for variable in variables}.values())


def _held(values: Iterable[Any]) -> Iterator[tf.Variable]:
    """Yields TensorFlow's own variables among values, also in lists, dicts and modules."""
    for value in values:
        kind: type = value.__class__  # TensorFlow wraps a tuple: its `type` is the wrapper's
        holds = _holding(kind)
        if holds is not None:
            yield from holds(value)


@functools.cache
def _holding(kind: type) -> Callable[[Any], Iterable[tf.Variable]] | None:
    """Returns what yields the variables in a value of a type; None if there are none in any.

    A look asks it of all attributes of all layers, and whether a type is another one is slow.
    """
    if issubclass(kind, tf.Variable):
        return lambda value: (value,)
    if issubclass(kind, dict):
        return lambda value: _held(value.values())
    if issubclass(kind, list | tuple):
        return _held
    if issubclass(kind, tf.random.Generator):
        return lambda value: (value.state,)
    if issubclass(kind, tf.Module) and not issubclass(kind, keras.layers.Layer):
        return lambda value: value.variables
    return None


def state(model: keras.Model, optimizers: Sequence[Any]) -> list[Any]:
    """Returns the variables that a training goes on from: weights, seeds and optimizers' own."""
    variables = [*model.weights, *seeds(model)]
    for layer in model._flatten_layers():
        variables += [value for value in vars(layer).values() if isinstance(value, tf.Variable)]
    for optimizer in optimizers:
        variables += optimizer.variables
    return list({id(variable): variable for variable in variables}.values())


def seeds(model: keras.Model) -> list[Any]:
    """Returns the states of the seeds that the model's layers draw from."""
    layers = model._flatten_layers()
    return [generator.state for layer in layers for generator in layer._seed_generators]


# --- what a model is made of ---


def sublayers(layer: Any) -> list[keras.layers.Layer]:
    """Returns the layers that a model or layer is made of, in the order of its own."""
    return list(layer.layers if isinstance(layer, keras.Model) else layer._layers)


def own_weights(layer: Any) -> list[Any]:
    """Returns the weights that a layer has itself, not those of layers inside it."""
    seeds = {id(generator.state) for generator in layer._seed_generators}
    own = [*layer._trainable_variables, *layer._non_trainable_variables]
    return [variable for variable in own if id(variable) not in seeds]


def comes_with_keras(layer: Any) -> bool:
    """Returns whether a layer is one of those that come with Keras."""
    return type(layer).__module__.startswith("keras.")


def is_from_keras(function: Any) -> bool:
    """Returns whether a function is one of those that come with Keras."""
    return str(getattr(function, "__module__", "")).startswith("keras.")


def inputs_of(operation: Any) -> list[list[Any]]:
    """Returns the symbolic inputs of each call of a layer in a Functional graph."""
    return [node.input_tensors for node in getattr(operation, "_inbound_nodes", ())]


def made_by(tensor: Any) -> tuple[Any, int, int] | None:
    """Returns the operation that made a symbolic tensor, which call of it, which output."""
    history = getattr(tensor, "_keras_history", None)
    return (
        None if history is None else (history.operation, history.node_index, history.tensor_index)
    )


def declared_inputs(model: keras.Model) -> list[Any]:
    """Returns the inputs that a model declares; none for a subclassed one."""
    try:
        return list(getattr(model, "inputs", None) or ())
    except (AttributeError, ValueError):
        return []


def named_inputs(model: keras.Model) -> dict[str, Any]:
    """Returns the inputs that a model declares, by the names that a dict of data has."""
    named = getattr(model, "_inputs_struct", None)
    if isinstance(named, Mapping):
        return dict(named)
    return {tensor.name: tensor for tensor in declared_inputs(model)}


def without_model(callback: keras.callbacks.Callback) -> dict[str, Any]:
    """Returns a callback's attributes, but not the model that Keras has set."""
    return {name: value for name, value in vars(callback).items() if name != "_model"}

"""What changes when several replicas train one model, in one process or in several workers.

Each replica takes its share of a batch through the training step; what the optimizer applies is
the sum of their gradients. Each worker is a process of its own, with its own callbacks, and
workers wait for each other wherever they sum something: so they must all do that at the same
steps. This module holds what tfdiag leans on in `tf.distribute`.
"""

from __future__ import annotations

import contextlib
import itertools
import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfdiag import backend

#: Longest time for which a worker waits for the others before the first step, in seconds.
PATIENCE_SECONDS = 60.0

_rounds = itertools.count()


def replicas(model: keras.Model) -> int:
    """Returns how many replicas train the model, over all workers."""
    return int(model.distribute_strategy.num_replicas_in_sync)


def workers(model: keras.Model) -> int:
    """Returns how many processes train the model together.

    Where there are several, nothing that only one of them knows (its clock, its share of the
    loss, its failures) may decide whether a step is sampled: the others would wait for ever.
    """
    count = replicas(model)  # without a strategy there are no devices to count
    return 1 if count == 1 else count // len(model.distribute_strategy.extended.worker_devices)


def is_chief(model: keras.Model) -> bool:
    """Returns whether this process is the one that writes."""
    return bool(model.distribute_strategy.extended.should_save_summary)


def summed(tensors: list[tf.Tensor | None]) -> list[tf.Tensor | None]:
    """Returns the sum of each tensor over all replicas; call where a replica's step is traced."""
    context = tf.distribute.get_replica_context()
    known = [tensor for tensor in tensors if tensor is not None]
    if context is None or context.num_replicas_in_sync == 1 or not known:
        return tensors
    sums = iter(context.all_reduce(tf.distribute.ReduceOp.SUM, known))
    return [None if tensor is None else next(sums) for tensor in tensors]


class Row:
    """Tensors that all replicas agree on, as the one output of a training step.

    Keras averages what a step returns over the replicas, and over several workers along the
    first axis too, one collective operation for each tensor. So all of them leave as one row,
    whose first axis has nothing to average.
    """

    def __init__(self) -> None:
        self._shapes: list[tuple[int, ...]] = []
        self._structure: Any = None

    def pack(self, tensors: Any) -> tf.Tensor:
        """Returns what the step is to return, `float32[1, n]`; call where it is traced.

        Args:
            tensors: of known shapes, nested in dicts.
        """
        flat = tf.nest.flatten(tensors)
        self._shapes = [tuple(tensor.shape.as_list()) for tensor in flat]
        self._structure = tf.nest.map_structure(lambda tensor: None, tensors)
        flat = [tf.reshape(tf.cast(tensor, tf.float32), [-1]) for tensor in flat]
        return tf.concat(flat, axis=0)[tf.newaxis]

    def unpack(self, row: Any) -> Any:
        """Returns the arrays of a step that has been executed, nested as the tensors were."""
        ends = np.cumsum([math.prod(shape) for shape in self._shapes])
        parts = np.split(np.ravel(row), ends[:-1])
        arrays = [part.reshape(shape) for part, shape in zip(parts, self._shapes, strict=True)]
        return tf.nest.pack_sequence_as(self._structure, arrays)


def one_replica(model: keras.Model) -> contextlib.AbstractContextManager[Any]:
    """Lets what is called within act as one replica of this process, whatever surrounds it.

    Outside of a replica each read of a metric is a sum over all workers, and each update of it
    one of all replicas. Within, both concern this replica's part and wait for nobody.
    """
    strategy = model.distribute_strategy
    if strategy.num_replicas_in_sync == 1:
        return contextlib.nullcontext()
    local = len(strategy.extended.worker_devices)
    # Replicas are numbered through, worker by worker.
    return tf.distribute.ReplicaContext(strategy, backend.worker_number(strategy) * local)


def local_parts(variable: Any) -> list[tf.Variable]:
    """Returns the plain variables that hold a variable's values in this process."""
    value = variable.value if isinstance(variable, keras.Variable) else variable
    return list(value.values) if isinstance(value, tf.distribute.DistributedValues) else [value]


def number(scalar: Any) -> float:
    """Returns the value of a variable or tensor without axes; a mirrored one is no number."""
    return float(backend.read(scalar))


def agreed(model: keras.Model, plan: str) -> bool:
    """Returns whether all workers follow the same plan; the answer is the same for all of them.

    A worker that samples a step alone would wait for ever: as on a cluster where the callback
    was passed to the chief only. Who does not answer in `PATIENCE_SECONDS` does not follow.
    """
    count = workers(model)
    if count == 1:
        return True
    store, own = backend.shared_store(), backend.worker_number(model.distribute_strategy)
    if store is None:  # not to be found out: then it is as we are told
        return True
    place = f"tfdiag/{next(_rounds)}"
    store.set_config_key_value(f"{place}/{own}", plan)
    same = _answers(store, place, count) == {plan}
    with contextlib.suppress(tf.errors.AlreadyExistsError):  # the first verdict is everybody's
        store.set_config_key_value(f"{place}/verdict", "yes" if same else "no")
    return store.get_config_key_value(f"{place}/verdict") == "yes"


def _answers(store: Any, place: str, count: int) -> set[str | None]:
    wait = int(1000 * PATIENCE_SECONDS)
    answers: set[str | None] = set()
    for worker in range(count):
        try:
            answers.add(store.get_config_key_value(f"{place}/{worker}", wait))
        except tf.errors.DeadlineExceededError:
            return {None}
    return answers

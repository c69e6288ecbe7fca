"""Grad-CAM, against tf-keras-vis where that works and against a model it does not know."""

import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow

keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")

from tests import keras_models  # noqa: E402
from tfdiag import explain  # noqa: E402
from tfdiag.architecture import Architecture, Layer  # noqa: E402
from tfdiag.errors import TfdiagError  # noqa: E402
from tfdiag.gradcam_plus_plus import GradCamPlusPlusTap  # noqa: E402
from tfdiag.layers import describe, recorded_layers  # noqa: E402


def reference(model, x, classes, layer, name="Gradcam"):
    """Returns the maps of tf-keras-vis: of the score before softmax, not scaled."""
    from tf_keras_vis import gradcam, gradcam_plus_plus
    from tf_keras_vis.utils.scores import CategoricalScore

    scores = keras.models.clone_model(model)
    scores.get_layer("head").activation = keras.activations.linear
    scores.set_weights(model.get_weights())
    visualizer = {**vars(gradcam), **vars(gradcam_plus_plus)}[name]
    return visualizer(keras.Model(scores.inputs[0], scores.outputs[0]))(
        CategoricalScore([int(c) for c in classes]),
        x,
        penultimate_layer=layer,
        expand_cam=False,
        normalize_cam=False,
    )


@pytest.fixture
def trained():
    x, y = keras_models.images(32)
    model = keras_models.compiled("sequential")
    model.fit(x, y, epochs=2, verbose=0)
    return model, x[:6], y[:6]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # tf-keras-vis imports old names
@pytest.mark.parametrize("layer", ["conv_1", "conv_2"])
def test_maps_equal_tf_keras_vis(trained, layer):
    model, x, y = trained
    cams = explain.GradCamTap(model, model.get_layer(layer)).run(x, y)
    np.testing.assert_allclose(cams.maps[:, 0], reference(model, x, y, layer), rtol=1e-3, atol=1e-7)
    np.testing.assert_allclose(
        cams.maps[:, 1], reference(model, x, cams.predicted, layer), rtol=1e-3, atol=1e-7
    )
    assert cams.maps.max() > 0


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # tf-keras-vis imports old names
def test_grad_cam_plus_plus_is_that_of_tf_keras_vis(trained):
    model, x, y = trained
    cams = GradCamPlusPlusTap(model, model.get_layer("conv_2")).run(x, y)
    expected = reference(model, x, y, "conv_2", "GradcamPlusPlus")
    np.testing.assert_allclose(cams.maps[:, 0], expected, rtol=1e-3, atol=1e-7)
    assert cams.maps.max() > 0
    assert model.get_layer("head").activation is keras.activations.softmax, "put back"
    own = explain.GradCamTap(model, model.get_layer("conv_2")).run(x, y)
    np.testing.assert_array_equal(cams.predicted, own.predicted)
    np.testing.assert_allclose(cams.confidence, own.confidence, rtol=1e-4)


def test_grad_cam_plus_plus_says_which_models_it_cannot_take():
    model = keras_models.compiled("subclassed")
    model(keras_models.images(2)[0])
    with pytest.raises(TfdiagError, match="Sequential or Functional"):
        GradCamPlusPlusTap(model, model.conv_2)


def test_predictions_are_the_models_own(trained):
    model, x, y = trained
    cams = explain.GradCamTap(model, model.get_layer("conv_2")).run(x, y)
    probabilities = model.predict(x, verbose=0)
    np.testing.assert_array_equal(cams.predicted, probabilities.argmax(axis=1))
    np.testing.assert_allclose(cams.confidence, probabilities.max(axis=1), rtol=1e-4)
    rows = np.arange(len(y))
    np.testing.assert_allclose(cams.true_confidence, probabilities[rows, y], rtol=1e-4)


@pytest.mark.parametrize("kind", ["nested", "subclassed"])
def test_models_that_others_fail_on_give_the_maps_of_the_same_flat_model(kind):
    x, y = keras_models.images(8)
    model = keras_models.compiled(kind)
    model(x)
    layers = recorded_layers(model)
    flat = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(5, 3, activation="relu", name="conv_1"),
            keras.layers.Conv2D(4, 3, activation="relu", name="conv_2"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    flat.set_weights(model.get_weights())
    name = "backbone/conv_2" if kind == "nested" else "conv_2"
    maps = explain.GradCamTap(model, layers[name]).run(x, y).maps
    expected = explain.GradCamTap(flat, flat.get_layer("conv_2")).run(x, y).maps
    np.testing.assert_allclose(maps, expected, rtol=1e-4, atol=1e-8)


def test_the_score_is_that_before_a_softmax_layer():
    x, y = keras_models.images(4)
    model = keras_models.compiled("functional")  # logits, then a layer Softmax
    logits = keras.Model(model.inputs, model.get_layer("logits").output)
    name = "conv_1"
    maps = explain.GradCamTap(model, model.get_layer(name)).run(x, y).maps
    expected = explain.GradCamTap(logits, model.get_layer(name)).run(x, y).maps
    np.testing.assert_allclose(maps, expected, rtol=1e-4, atol=1e-8)


def test_a_sure_model_still_has_a_map():
    x, y = keras_models.images(4)
    model = keras_models.compiled("sequential")
    head = model.get_layer("head")
    head.kernel.assign(head.kernel * 200.0)  # softmax is 1.0 and has no gradient left
    cams = explain.GradCamTap(model, model.get_layer("conv_1")).run(x, y)
    assert (cams.confidence > 0.999).any()
    assert (cams.maps[:, 1].max(axis=(1, 2)) > 0).any()


def test_a_binary_classifier_speaks_for_both_classes():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(3, 3, name="conv"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    x, _ = keras_models.images(6)
    cams = explain.GradCamTap(model, model.get_layer("conv")).run(x, np.array([0, 1] * 3))
    probability = model.predict(x, verbose=0)[:, 0]
    np.testing.assert_array_equal(cams.predicted, probability > 0.5)
    np.testing.assert_allclose(
        cams.true_confidence, np.where([0, 1] * 3, probability, 1 - probability), rtol=1e-4
    )


def test_outputs_that_are_not_finite_have_no_prediction(trained):
    model, x, y = trained
    model.get_layer("head").bias.assign(np.full(10, np.nan))
    cams = explain.GradCamTap(model, model.get_layer("conv_2")).run(x, y)
    assert (cams.predicted == -1).all()
    assert np.isnan(cams.confidence).all() and np.isnan(cams.true_confidence).all()


def test_taking_maps_changes_nothing(trained):
    model, x, y = trained
    before = [w.numpy() for w in model.weights]
    metrics = [v.numpy() for m in model.metrics for v in m.variables]
    explain.GradCamTap(model, model.get_layer("conv_2")).run(x, y)
    for one, other in zip(before, model.weights, strict=True):
        np.testing.assert_array_equal(one, other.numpy())
    now = [v.numpy() for m in model.metrics for v in m.variables]
    for one, other in zip(metrics, now, strict=True):
        np.testing.assert_array_equal(one, other)
    assert model.get_layer("head").activation is keras.activations.softmax


def test_a_layer_without_space_is_refused(trained):
    model, x, y = trained
    with pytest.raises(TfdiagError, match="two spatial axes.*'dense'"):
        explain.GradCamTap(model, model.get_layer("dense")).run(x, y)


def test_the_last_spatial_layer_is_the_default():
    model = keras_models.compiled("sequential")
    architecture = describe(model, recorded_layers(model))
    assert explain.spatial_layer(architecture, None) == "conv_2"
    assert explain.spatial_layer(architecture, "conv_1") == "conv_1"
    with pytest.raises(ValueError, match="'conv_9'.*conv_1"):
        explain.spatial_layer(architecture, "conv_9")
    with pytest.raises(TfdiagError, match="no layer has a spatial output"):
        explain.spatial_layer(Architecture((Layer("dense", "Dense", (3,)),)), None)


@pytest.mark.parametrize(
    ("labels", "classes", "words"),
    [
        (np.array([0.5, 1.0]), 3, "classes from 0 to 2"),
        (np.array([0, 3]), 3, "classes from 0 to 2"),
        (np.array([[1, 1], [0, 1]]), 2, "not one-hot"),
        ({"a": np.array([0])}, 2, "several outputs"),
    ],
)
def test_labels_that_are_no_classes_are_refused(labels, classes, words):
    with pytest.raises(TfdiagError, match=words):
        explain.class_labels(labels, classes)


def test_labels_may_be_numbers_columns_or_one_hot():
    expected = np.array([2, 0, 1])
    for labels in (expected, expected[:, None], np.eye(3)[expected], expected.astype("float32")):
        np.testing.assert_array_equal(explain.class_labels(labels, 3), expected)

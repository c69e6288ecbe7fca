"""Probe samples as pictures."""

import io

import numpy as np
import pytest
from PIL import Image

from tfdiag import picture

RAMP = np.linspace(0, 255, 64).reshape(8, 8, 1).astype("uint8")


def pixels(png):
    width, height, data = png
    decoded = np.asarray(Image.open(io.BytesIO(data)), int)
    assert decoded.shape == (height, width, 3)
    return decoded


def test_samples_span_black_to_white():
    x = np.random.default_rng(0).normal(3, 5, size=(4, 6, 6, 3))
    shown = picture.images(x)
    assert shown.dtype == np.uint8 and shown.shape == x.shape
    assert shown.min() == 0 and shown.max() == 255
    assert (np.argsort(shown[0, :, 0, 0], kind="stable") == np.argsort(x[0, :, 0, 0])).all()


def test_the_first_input_that_is_an_image_is_shown():
    image = np.zeros((2, 5, 5, 1))
    assert picture.images({"table": np.zeros((2, 3)), "image": image}).shape == image.shape
    assert picture.images([np.zeros((2, 3)), image]).shape == image.shape
    assert picture.images(np.zeros((2, 3))) is None
    assert picture.images(np.zeros((2, 5, 5, 7))) is None


def test_constant_and_nan_samples_do_not_divide_by_zero():
    assert (picture.images(np.full((2, 4, 4, 1), 7.0)) == 0).all()
    assert picture.images(np.full((2, 4, 4, 1), np.nan)).shape == (2, 4, 4, 1)


@pytest.mark.parametrize(
    "cam", [np.zeros((4, 4)), np.full((4, 4), np.nan), np.full((4, 4), np.inf)]
)
def test_a_map_with_nothing_to_show_leaves_the_image(cam):
    shown = pixels(picture.overlay(RAMP, cam))
    np.testing.assert_array_equal(shown[::8, ::8, 0], RAMP[..., 0])
    assert (shown == shown[..., :1]).all(), "grey"


def test_a_map_colours_the_image_where_it_is_strong():
    cam = np.zeros((8, 8))
    cam[6:, 6:] = 5.0
    shown = pixels(picture.overlay(np.zeros((8, 8, 1), "uint8"), cam))
    strong, weak = shown[-1, -1], shown[0, 0]
    assert weak.tolist() == [0, 0, 0]
    assert strong[0] > 150 and strong[0] > strong[1] > strong[2]


def test_colour_images_and_transparent_ones_are_shown():
    for channels in (3, 4):
        image = np.zeros((40, 100, channels), "uint8")
        width, height, _ = picture.overlay(image, np.ones((5, 5)))
        assert (width, height) == (200, 80)

"""Colours that can be told apart, measured by formulas of their own."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skdec.plotting import categorical_colors
from skdec.plotting._colors import grey, lab

# Machado, Oliveira, Fernandes (2009), severity 1, on linear RGB
BLINDNESS = {
    "none": np.eye(3),
    "protanopia": np.array([[0.152286, 1.052583, -0.204868],
                            [0.114503, 0.786281, 0.099216],
                            [-0.003882, -0.048116, 1.051998]]),
    "deuteranopia": np.array([[0.367322, 0.860646, -0.227968],
                              [0.280085, 0.672501, 0.047413],
                              [-0.011820, 0.042940, 0.968881]]),
    "tritanopia": np.array([[1.255528, -0.076749, -0.178779],
                            [-0.078411, 0.930809, 0.147602],
                            [0.004733, 0.691367, 0.303900]]),
}  # fmt: skip


def linear(channel):
    return channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4


def cielab(rgb):
    """CIELAB under D65, number by number."""
    r, g, b = rgb
    x = (0.4124564 * r + 0.3575761 * g + 0.1804375 * b) / 0.95047
    y = 0.2126729 * r + 0.7151522 * g + 0.0721750 * b
    z = (0.0193339 * r + 0.1191920 * g + 0.9503041 * b) / 1.08883

    def f(t):
        return t ** (1 / 3) if t > (6 / 29) ** 3 else t * (29 / 6) ** 2 / 3 + 4 / 29

    return np.array([116 * f(y) - 16, 500 * (f(x) - f(y)), 200 * (f(y) - f(z))])


def least_difference(colors, matrix):
    """The least ΔE of two colours as somebody sees them."""
    seen = [
        cielab(np.clip(matrix @ [linear(channel) for channel in color[:3]], 0, 1))
        for color in colors
    ]
    return min(
        np.linalg.norm(seen[i] - seen[j]) for i in range(len(seen)) for j in range(i)
    )


@pytest.mark.parametrize("blindness", BLINDNESS)
def test_ten_colors_can_be_told_apart_by_everybody(blindness):
    matrix = BLINDNESS[blindness]
    ten = categorical_colors(10)
    assert least_difference(ten, matrix) > 18
    # by no less than what Okabe and Ito chose for eight
    codes = "000000E69F0056B4E9009E73F0E4420072B2D55E00CC79A7"
    okabe_ito = np.array([int(codes[i : i + 2], 16) for i in range(0, 48, 2)]) / 255
    okabe_ito = okabe_ito.reshape(8, 3)
    assert least_difference(ten, matrix) > least_difference(okabe_ito, matrix)
    # and from the grey of what has no class
    assert least_difference([*ten, grey()], matrix) > 15


@pytest.mark.parametrize("blindness", BLINDNESS)
@pytest.mark.parametrize("n, least", [(20, 13), (40, 8.9)])
def test_many_colors_are_apart_for_everybody(n, least, blindness):
    colors = categorical_colors(n)
    assert least_difference([*colors, grey()], BLINDNESS[blindness]) > least


def test_most_people_see_many_colors_farther_apart():
    assert least_difference([*categorical_colors(40), grey()], np.eye(3)) > 14


def test_colors_show_on_white_and_on_black():
    forty = categorical_colors(40)
    lightness = [cielab([linear(c) for c in color[:3]])[0] for color in forty]
    # white has 100, black 0
    assert min(lightness) > 35
    assert max(lightness) < 82


def test_a_class_keeps_its_color():
    many = categorical_colors(60)
    for n in (0, 1, 9, 10, 11, 40):
        assert_array_equal(categorical_colors(n), many[:n])
    assert many.shape == (60, 4)
    assert (many[:, 3] == 1).all()
    assert ((many >= 0) & (many <= 1)).all()
    many[:] = 0  # a copy
    assert categorical_colors(60).any()


def test_cielab(rng):
    # the dark ones are where the cube root ends
    colors = rng.uniform(size=(20, 3)) * np.where(np.arange(20) < 10, 1, 0.1)[:, None]
    expected = [cielab([linear(c) for c in color]) for color in colors]
    assert_allclose(lab(colors), expected, atol=1e-3)


@pytest.mark.parametrize("n", [-1, 2.0, True, 1001, "3"])
def test_a_number_of_colors(n):
    with pytest.raises(ValueError, match="n must be an int from 0 to 1000"):
        categorical_colors(n)

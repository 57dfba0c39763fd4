"""Augmentations for AutoencoderEncoder: what changes a row but not its cluster."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, Literal

import numpy as np
from sklearn.base import BaseEstimator

from skdec.utils.sklearn_compat import StrOptions
from skdec.utils.validation import Range

CHANNELS, PADDINGS = ("first", "last"), ("zeros", "border", "reflection")
INTERPOLATIONS = "bilinear", "bicubic"


class RandomAffine(BaseEstimator):
    r"""Images turned, moved and resized a little, each in its own way.

    A pixel at the place u, measured in pixels from the middle of the image, has the
    value that the image has at

    .. math:: A_\varphi u / s - t,

    with A the rotation by φ, between pixels by interpolation.  φ, s and t are drawn
    uniformly for each row.

    Parameters
    ----------
    shape : sequence of int
        (height, width), or (channels, height, width), whatever their order in a row.
    rotation : float, default=10.0
        Largest angle φ in degrees, in both directions.
    shift : float, default=0.1
        Largest move t as a share of height and of width, in both directions.
    scaling : float, default=0.0
        Sizes s go from 1 − scaling to 1 + scaling; less than 1.  The paper has none.
    channels : {"first", "last"}, default="first"
        Whether a row has one channel after the other, or one pixel after the other.
    padding : {"zeros", "border", "reflection"}, default="zeros"
        What is beyond the edge: 0, the pixel at the edge, or the image mirrored.
    interpolation : {"bilinear", "bicubic"}, default="bilinear"
        Between pixels.  "bilinear" blurs, which in images of few pixels is much;
        "bicubic" (Keys 1981, with a = −3/4) keeps strokes of a pixel, and may leave the
        range of the values by a little.

    See Also
    --------
    AutoencoderEncoder : Takes it as ``augment``.
    RandomDropout : For counts and texts.

    References
    ----------
    Guo, Zhu, Liu, Yin: Deep embedded clustering with data augmentation, ACML 2018.
    Keys: Cubic convolution interpolation for digital image processing, IEEE
    Transactions on Acoustics, Speech, and Signal Processing 29, 1981.

    Examples
    --------
    >>> from skdec.encoders import AutoencoderEncoder, RandomAffine
    >>> AutoencoderEncoder(augment=RandomAffine((8, 8)))
    AutoencoderEncoder(augment=RandomAffine(shape=(8, 8)))
    """

    def __init__(
        self,
        shape: Sequence[int],
        *,
        rotation: float = 10.0,
        shift: float = 0.1,
        scaling: float = 0.0,
        channels: Literal["first", "last"] = "first",
        padding: Literal["zeros", "border", "reflection"] = "zeros",
        interpolation: Literal["bilinear", "bicubic"] = "bilinear",
    ) -> None:
        self.shape = shape
        self.rotation = rotation
        self.shift = shift
        self.scaling = scaling
        self.channels = channels
        self.padding = padding
        self.interpolation = interpolation

    def __call__(self, x: Any, generator: Any) -> Any:
        """Augment rows.

        Parameters
        ----------
        x : torch.Tensor of shape (n_rows, n_features)
            Images, each a row.
        generator : torch.Generator
            Draws angles, moves and sizes, on x's device.

        Returns
        -------
        augmented : torch.Tensor of shape (n_rows, n_features)
            The images augmented.
        """
        from torch.nn.functional import affine_grid, grid_sample

        depth, height, width = self._check(x.shape[1])
        last = self.channels == "last"
        if last:
            images = x.reshape(-1, height, width, depth).permute(0, 3, 1, 2)
        else:
            images = x.reshape(-1, depth, height, width)
        places = self._places(x, generator, height / width)
        grid = affine_grid(places, list(images.shape), align_corners=False)
        images = grid_sample(
            images,
            grid,
            mode=self.interpolation,
            padding_mode=self.padding,
            align_corners=False,
        )
        return (images.permute(0, 2, 3, 1) if last else images).reshape(x.shape)

    def _places(self, x, generator, aspect):
        """Matrices (n, 2, 3): from a pixel's place to where its value is taken.

        Places go from −1 to 1 in both directions, so that a rotation takes the shape
        into account; a share of the size is twice as much there.
        """
        draws = 2 * x.new_empty((4, len(x))).uniform_(generator=generator) - 1
        angles, sizes = (
            draws[0] * np.deg2rad(self.rotation),
            1 + self.scaling * draws[1],
        )
        cosine, sine = angles.cos() / sizes, angles.sin() / sizes
        places = x.new_empty((len(x), 2, 3))
        places[:, 0, 0], places[:, 0, 1] = cosine, -sine * aspect
        places[:, 1, 0], places[:, 1, 1] = sine / aspect, cosine
        places[:, :, 2] = -2 * self.shift * draws[2:].T
        return places

    def _check(self, n_features):
        """Channels, height and width, if all parameters are as they should be."""
        shape = tuple(self.shape) if np.ndim(self.shape) == 1 else ()
        counts = Range(Integral, 1, None, closed="left")
        if len(shape) not in (2, 3) or not all(map(counts.is_satisfied_by, shape)):
            raise ValueError(
                "shape must be (height, width) or (channels, height, width), positive "
                f"integers; got {self.shape!r}"
            )
        if np.prod(shape) != n_features:
            raise ValueError(
                f"shape must have as many pixels as rows have features, {n_features}; "
                f"got {self.shape!r}, which has {np.prod(shape)}"
            )
        _check(self, "rotation", Range(Real, 0, None, closed="left"))
        _check(self, "shift", Range(Real, 0, None, closed="left"))
        _check(self, "scaling", Range(Real, 0, 1, closed="left"))
        _check(self, "channels", StrOptions(set(CHANNELS)))
        _check(self, "padding", StrOptions(set(PADDINGS)))
        _check(self, "interpolation", StrOptions(set(INTERPOLATIONS)))
        return (1, *shape)[-3:]


class RandomDropout(BaseEstimator):
    """Rows with some of their entries set to 0, as if they had not been seen.

    For rows whose entries are counts, or words: what is not 0 may well have been.  The
    entries that stay are divided by their share, so that rows stay the same on average.

    Parameters
    ----------
    share : float, default=0.2
        Share of the entries that are set to 0, at least 0 and less than 1.

    See Also
    --------
    AutoencoderEncoder : Takes it as ``augment``; its own ``dropout`` sets entries to
        their mean, and only in pre-training.
    RandomAffine : For images.

    Examples
    --------
    >>> from skdec.encoders import AutoencoderEncoder, RandomDropout
    >>> AutoencoderEncoder(augment=RandomDropout(0.3))
    AutoencoderEncoder(augment=RandomDropout(share=0.3))
    """

    def __init__(self, share: float = 0.2) -> None:
        self.share = share

    def __call__(self, x: Any, generator: Any) -> Any:
        """Augment rows.

        Parameters
        ----------
        x : torch.Tensor of shape (n_rows, n_features)
            Rows.
        generator : torch.Generator
            Draws the entries, on x's device.

        Returns
        -------
        augmented : torch.Tensor of shape (n_rows, n_features)
            The rows augmented.
        """
        _check(self, "share", Range(Real, 0, 1, closed="left"))
        seen = x.new_empty(x.shape).uniform_(generator=generator) >= self.share
        return x * seen / (1 - self.share)


def _check(augmentation, name, constraint):
    """Raise unless a parameter is as it should be."""
    value = getattr(augmentation, name)
    if not constraint.is_satisfied_by(value):
        raise ValueError(f"{name} must be {constraint}; got {value!r}")

"""Films: frames of scenes on their way into a file."""

from __future__ import annotations

import os
from contextlib import suppress

import numpy as np

from skdec.plotting._axes import matplotlib

# How much of the way to a smaller view a frame goes; to a larger one it goes at once.
ZOOM = 0.25

# Room around what is drawn, as a share of its extent.
ROOM = 0.06


def writer_for(path, fps):
    """What writes a film, or an error before anything is fitted."""
    animation = matplotlib("animation")
    if path.suffix not in (".gif", ".mp4"):
        raise ValueError(f"path must end in .gif or .mp4; got {str(path)!r}")
    if not path.parent.is_dir():
        raise ValueError(f"path must be in a folder that exists; got {str(path)!r}")
    if path.suffix == ".gif":
        return animation.PillowWriter(fps=fps)
    if not animation.FFMpegWriter.isAvailable():
        raise RuntimeError(
            "path ends in .mp4, which needs the program ffmpeg, and there is none; "
            "a path that ends in .gif needs no other program"
        )
    return animation.FFMpegWriter(fps=fps)


class Film:
    """Frames on their way into a file, which appears when it is whole.

    Parameters
    ----------
    writer : matplotlib.animation.AbstractMovieWriter
        Writes frames.
    path : Path
        Where the film goes in the end.
    dpi, figsize : float, tuple
        Of the figure.
    """

    def __init__(self, writer, path, dpi, figsize):
        self.writer, self.path, self.dpi = writer, path, dpi
        self.figure = matplotlib("figure").Figure(figsize=figsize)
        self.ax = self.figure.add_subplot()
        self._half = self._scene = None
        self._part = path.with_name(f".{path.stem}.part{path.suffix}")

    def __enter__(self):
        self.writer.setup(self.figure, str(self._part), self.dpi)
        return self

    def __exit__(self, kind, *_):
        try:
            if kind is None:
                self.writer.finish()
                os.replace(self._part, self.path)
            else:
                # a film of no frames would be an error that hides the one that left it
                # empty; another program is to end all the same
                with suppress(Exception):
                    self.writer.finish()
        finally:
            self._part.unlink(missing_ok=True)

    def frame(self, scene, shown):
        """Draw what a scene shows, and add it."""
        if scene is not self._scene:
            # laid out once: the axes keep their place, and frames take half the time
            self._draw(scene, shown)
            self.figure.set_layout_engine("constrained")
            self.figure.draw_without_rendering()
            self.figure.set_layout_engine("none")
            self._scene = scene
        # after that, because the size of points follows that of the axes
        self._draw(scene, shown)
        self._view()
        self._grab()

    def _grab(self):
        # frames have one size, which a figure's tight box would change: an error
        with matplotlib().rc_context({"savefig.bbox": None}):
            self.writer.grab_frame()

    def _draw(self, scene, shown):
        self.ax.clear()
        scene.draw(self.ax, shown)
        self.ax.set_title(scene.title(shown), fontsize=10)

    def _view(self):
        """The limits of the frame: around all there is, and shrinking slowly."""
        limits = np.array([self.ax.get_xlim(), self.ax.get_ylim()])
        center, half = limits.mean(axis=1), (1 + ROOM) * np.ptp(limits, axis=1) / 2
        if self._half is not None:
            slow = self._half + ZOOM * (half - self._half)
            half = np.maximum(half, slow)
        self._half = half
        self.ax.set_xlim(center[0] - half[0], center[0] + half[0], auto=True)
        self.ax.set_ylim(center[1] - half[1], center[1] + half[1], auto=True)

    def hold(self, n_frames):
        """Let the last frame stay for so many more."""
        for _ in range(n_frames):
            self._grab()

"""Films of fits: each frame is what a callback of the fit was given."""

from __future__ import annotations

import os
from math import gcd
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np
from sklearn.base import clone, is_clusterer
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import FeatureUnion, Pipeline

from skdec.plotting._film import Film, writer_for
from skdec.plotting._labels import categories
from skdec.plotting._scenes import (
    Clusters,
    ClusterScene,
    Look,
    Map,
    MapScene,
    check_places,
)
from skdec.utils.validation import check_matrix

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from skdec.utils.typing import MatrixLike

# ExactTSNE calls back at each multiple of this, whatever it is asked for.
CHECK_EVERY = 50

# Iterations of a map and passes of a clustering from one frame to the next.
MAP_EVERY, CLUSTERS_EVERY = 10, 1
MAP_FPS, CLUSTERS_FPS = 12.0, 4.0


def animate_fit(
    estimator: Any,
    X: MatrixLike,
    path: str | os.PathLike[str],
    *,
    labels: ArrayLike | None = None,
    names: Any = None,
    view: ArrayLike | None = None,
    every: int | None = None,
    fps: float | None = None,
    hold: float = 1.0,
    figsize: tuple[float, float] = (6.0, 4.8),
    dpi: float = 100.0,
    fit_params: dict[str, Any] | None = None,
    **plot_options: Any,
) -> Any:
    """Fit, and write a film of how a map unfolds, or how clusters find their place.

    Rows of a map have the colours of their classes.  Rows that are clustered have that
    of their cluster, which is the colour of the class that it matches best at first, if
    there are classes.  Crosses are the centroids, with the way that they have gone.

    Parameters
    ----------
    estimator : ExactTSNE, StudentTClustering, or a pipeline with any of them
        A copy of it is fitted; it stays as it is.  Its own ``callback`` is called as
        ever, and may end the fit.  Of a pipeline all steps that call back are shown,
        one after the other.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        The rows.
    path : str or path-like
        Where to write.  ".gif" needs nothing else; ".mp4" needs the program ffmpeg.
        The file is replaced when the film is whole.
    labels : array-like of shape (n_samples,), default=None
        Classes, for the colours.
    names : sequence of str or mapping, default=None
        What classes are called, or clusters, if there are no classes: by number, or
        from label to name.
    view : array-like of shape (n_samples, n_components), default=None
        Where to draw rows that are clustered, such as a map of them.  A centroid is
        drawn at the mean of the rows of its cluster then.  None means the two features
        of the rows; of more, those that ``components`` names; with an encoder, its
        embedding.
    every : int, default=None
        From one frame to the next.  None means 10 iterations of a map, and 1 check of a
        clustering (see its ``callback_every``).  The last frame is what was fitted.
    fps : float, default=None
        Frames a second.  None means 12, or 4 where there are clusterings alone.
    hold : float, default=1.0
        For how many seconds the last frame stays.
    figsize : tuple of two float, default=(6.0, 4.8)
        Width and height in inches.
    dpi : float, default=100.0
        Pixels an inch.
    fit_params : dict, default=None
        Further arguments of ``fit``, such as ``sample_weight``.
    **plot_options : dict
        Further parameters of ``EmbeddingDisplay.plot``.

    Returns
    -------
    fitted : object
        The fitted copy.  Its results are to the bit what ``fit`` gives without a film;
        ``history_`` has entries of the frames besides.

    Raises
    ------
    TypeError
        If neither the estimator nor a step of it has a ``callback``, or ``plot`` has no
        such parameter.
    ValueError
        If the name of the file ends in neither ".gif" nor ".mp4", or its folder does
        not exist, or there is no plane in which to draw what is clustered.
    RuntimeError
        If ".mp4" is asked for, and there is no ffmpeg.

    Notes
    -----
    With an encoder the film is of its training; the clusterings of the first embedding,
    from which that starts, are not shown.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from sklearn.datasets import load_iris
    >>> from skdec import ExactTSNE
    >>> from skdec.plotting import animate_fit
    >>> iris = load_iris()
    >>> with TemporaryDirectory() as folder:
    ...     tsne = animate_fit(
    ...         ExactTSNE(max_iter=60), iris.data, f"{folder}/iris.gif",
    ...         labels=iris.target, every=20,
    ...     )
    >>> tsne.embedding_.shape
    (150, 2)
    """
    prefixes, path = _steps_with_callback(estimator), Path(path)
    _check_one_process(estimator.get_params(), prefixes)
    maps = [p for p in prefixes if not is_clusterer(_step(estimator, p))]
    if fps is None:
        fps = MAP_FPS if maps else CLUSTERS_FPS
    _check_times(every, fps, hold)
    writer = writer_for(path, fps)
    classes, n_rows = None, np.shape(X)[0]
    if labels is not None:
        classes = categories(labels, "labels", n_rows, names)
    if view is not None:
        view = _checked_view(view, n_rows)
    elif is_clusterer(estimator) and prefixes == [""] and estimator.encoder is None:
        check_places(X, plot_options)
    look = Look(classes, names, view, plot_options)
    look.check(n_rows, _n_clusters(estimator, prefixes))
    fitted, film = clone(estimator), Film(writer, path, dpi, figsize)
    watch = _watched(fitted, estimator.get_params(), film, look, prefixes, every)
    with film:
        fitted.fit(X, **(fit_params or {}))
        watch.end()
        film.hold(round(hold * fps))
    _end_watch(fitted, estimator.get_params(), prefixes)
    return fitted


def _end_watch(fitted, given, prefixes):
    """Put the user's own callbacks back, in steps that were fitted and their models."""
    for prefix in prefixes:
        own = {
            name: given[f"{prefix}{name}"] for name in ("callback", "callback_every")
        }
        fitted.set_params(**{f"{prefix}{name}": own[name] for name in own})
        _step(fitted, prefix).set_params(**own)


def _check_times(every, fps, hold):
    """Raise unless there are frames that follow each other, and a last one."""
    if every is not None and (not every >= 1 or int(every) != every):
        raise ValueError(f"every must be an int of at least 1; got {every}")
    if not 0 < fps < np.inf:
        raise ValueError(f"fps must be a positive number; got {fps}")
    if not 0 <= hold < np.inf:
        raise ValueError(f"hold must be a number of seconds from 0; got {hold}")


def _steps_with_callback(estimator):
    """The prefixes of the parameters of the steps that call back: "" of one alone."""
    given = estimator.get_params()
    prefixes = [
        name.removesuffix("callback")
        for name in given
        if (name == "callback" or name.endswith("__callback"))
        and f"{name}_every" in given
        and _is_fitted_once(estimator, given, name.split("__")[:-1])
    ]
    order = list(getattr(estimator, "named_steps", ()))
    if not all(p.split("__")[0] in ["", *order] for p in prefixes) or not prefixes:
        raise TypeError(
            "estimator must have a callback, as ExactTSNE and StudentTClustering have, "
            f"or be a pipeline with such a step; got {type(estimator).__name__}"
        )
    # in the order in which they are fitted, not of their names
    return sorted(
        prefixes, key=lambda p: [order.index(s) for s in p.split("__")[:1] if s]
    )


def _check_one_process(given, prefixes):
    """Raise where a step would be fitted in another process, which shows nothing."""
    for prefix in prefixes:
        path = prefix.split("__")[:-1]
        for i in range(len(path)):
            name = "__".join([*path[:i], "n_jobs"])
            if given.get(name) not in (None, 1):
                raise ValueError(
                    f"{name} must be None or 1, so that {prefix[:-2]} is fitted in "
                    f"this process; got {given[name]}"
                )


def _is_fitted_once(estimator, given, path):
    """Whether it is a step that is fitted to all rows.

    It may be fitted to folds instead, by a search, or be the start of another.
    """
    around = ["__".join(path[:i]) for i in range(1, len(path))]
    kinds = Pipeline, FeatureUnion, ColumnTransformer
    parts = [estimator, *(given[name] for name in around)][: len(path)]
    return all(isinstance(part, kinds) for part in parts)


def _step(estimator, prefix):
    """The step that a prefix is of, fitted if it has been."""
    for name in prefix.split("__")[:-1]:
        # a ColumnTransformer fits copies
        fitted = getattr(estimator, "named_transformers_", {})
        estimator = fitted[name] if name in fitted else estimator.get_params()[name]
    return estimator


def _n_clusters(estimator, prefixes):
    """How many colours the clusters of a fit will have, as far as that is known."""
    clusterers = [step for p in prefixes if is_clusterer(step := _step(estimator, p))]
    numbers = [getattr(step, "n_clusters", 1) for step in clusterers]
    # a wrong number is for the fit to refuse
    known = [n for n in numbers if isinstance(n, Integral) and n > 0]
    return max(known, default=1)


def _checked_view(view, n_rows):
    """Places of all rows, NaN where they have none."""
    view = check_matrix(view, "view", ensure_all_finite=False)
    if len(view) != n_rows or view.shape[1] < 2:
        raise ValueError(
            f"view must have a row for each of the {n_rows} rows of X, and two columns "
            f"at least; got shape {view.shape}"
        )
    return view


def _watched(fitted, given, film, look, prefixes, every):
    """Make a film the callback of each of these steps; the last of these callbacks."""
    watch = None
    for prefix in prefixes:
        step = _step(fitted, prefix)
        kind, scene = _MapWatch, MapScene(look)
        if is_clusterer(step):
            kind, scene = _ClusterWatch, ClusterScene(look, step.encoder is not None)
        watch = kind(film, scene, fitted, prefix, given, every, watch)
    return watch


class _Watch:
    """The callback of a step: adds frames to a film, and calls the user's own.

    Parameters
    ----------
    film : Film
        Gets the frames.
    scene : MapScene or ClusterScene
        Draws them.
    fitted : estimator
        What is fitted.
    prefix : str
        That of the step's parameters.
    given : dict
        The parameters of the user's estimator.
    every : int or None
        From one frame to the next.
    before : _Watch or None
        Of the step before, whose last frame comes first.
    """

    default_every = 1

    def __init__(self, film, scene, fitted, prefix, given, every, before):
        self.film, self.scene, self.fitted, self.prefix = film, scene, fitted, prefix
        self.callback = given[f"{prefix}callback"]
        self.callback_every = given[f"{prefix}callback_every"]
        self.max_iter = given[f"{prefix}max_iter"]
        self.every = self.called_every = int(every or self.default_every)
        if self.callback is not None:
            self.called_every = gcd(self.every, self.callback_every)
        self._before = before
        names = f"{prefix}callback", f"{prefix}callback_every"
        fitted.set_params(**dict(zip(names, (self, self.called_every), strict=True)))

    def __deepcopy__(self, memo):
        """Itself: a step that is cloned, and fitted then, is in the same film."""
        return self

    def __reduce__(self):
        """No film is stored with a step, nor is a fit without frames taken for one."""
        return _nothing, (uuid4().hex,)

    def _begin(self):
        """Let the step before have its last frame."""
        if self._before is not None:
            self._before.end()
            self._before = None


def _nothing(_):
    """What a watch is once it has been stored."""


class _MapWatch(_Watch):
    """The callback of an ``ExactTSNE``."""

    default_every = MAP_EVERY
    _last = None

    def __call__(self, n_iter, kl, embedding):
        """Add a frame if it is time; true if the user's callback ends the fit."""
        self._begin()
        self._last = None
        if n_iter % self.every == 0:
            self.film.frame(self.scene, Map(n_iter, kl, embedding))
        else:
            # it may be the last, and is drawn then
            self._last = Map(n_iter, kl, embedding.copy())
        if self.callback is None or not self._concerns_user(n_iter):
            return False
        return self.callback(n_iter, kl, embedding)

    def _concerns_user(self, n_iter):
        """Whether the callback would have been called without a film."""
        if n_iter % CHECK_EVERY == 0 or n_iter % self.callback_every == 0:
            return True
        # a call that nobody asked for is that at the end
        return n_iter == self.max_iter or n_iter % self.called_every != 0

    def end(self):
        """Add the last map, unless it has been."""
        if self._last is not None:
            self.film.frame(self.scene, self._last)
            self._last = None


class _ClusterWatch(_Watch):
    """The callback of a ``StudentTClustering``."""

    default_every = CLUSTERS_EVERY
    _run = _rows = None

    def __call__(self, n_iter, kl, clusters):
        """Add a frame if it is time; true if the user's callback ends the fit."""
        self._begin()
        # those of a first embedding only lead to where an encoder's training begins
        joint = _step(self.fitted, self.prefix).encoder is not None
        shown = clusters.stage == "encoder" or not joint
        if shown and clusters.number % self.every == 0:
            self._add(clusters)
        if self.callback is None or clusters.number % self.callback_every:
            return False
        return self.callback(n_iter, kl, clusters)

    def _add(self, clusters):
        """Add a frame of a snapshot."""
        where = f"training {clusters.training + 1}, " if clusters.training else ""
        where += "a sample, " if clusters.stage == "sample" else ""
        if clusters.start and clusters.stage != "encoder":
            where += f"start {clusters.start + 1} of {clusters.n_starts}, "
        changes = clusters.label_changes
        title = (
            f"{where}pass {clusters.n_iter}: KL = {clusters.kl_divergence:.4g}, "
            f"{f'{changes:.1%} of labels changed' if clusters.number else 'the start'}"
        )
        form = clusters.dof, clusters.bandwidth, clusters.balance
        self._run, self._rows = (where, form), clusters.encoding
        labels, centers = np.asarray(clusters.labels()), clusters.cluster_centers
        self.film.frame(
            self.scene, Clusters(title, self._run, self._rows, labels, centers)
        )

    def end(self):
        """Add what was fitted."""
        model = _step(self.fitted, self.prefix)
        if not hasattr(model, "labels_"):  # its ColumnTransformer is still at work
            return
        run, how = self._run, "at rest" if model.converged_ else "not at rest"
        if model.start_kept_:
            run, how = "start", "the start is kept"
        title = f"{model.n_iter_} passes: KL = {model.kl_divergence_:.4g}, {how}"
        rows = self._rows if model.encoding_ is None else model.encoding_
        labels, centers = np.asarray(model.labels_), model.cluster_centers_
        self.film.frame(self.scene, Clusters(title, run, rows, labels, centers))

"""Loops that numba compiles: no validation, no threads, no estimators.

Overview
--------
::

    types         Kernel, Scales, StepModel, ...: arguments that belong together
    jit           how functions are compiled: kernel, stage, reduction, lane_sum
      elementary    exp and log in vector code
      similarity    s, 2g, −log s: the mathematics, each formula once
        rows          chunks of 128 rows: their distances to centroids, their forces
          clustering    q, p and the sums of a clustering step
          mixture       means and densities of the mixture that q stands for
        pairs         every pair of points once, in cyclic order
          affinities    calibration, and P in that order
            graphs        P over neighbours, from their lists both ways round
          embedding     attraction, repulsion and KL of an embedding, for every kernel
          embedding_fused   the usual kernels in one loop, in the plane and in space
        placement     new points against a fitted embedding
      descent       one step of an embedding

A module imports from those to its left.  Objectives (``clustering/_objective.py``,
``tsne/_objective.py``, ``tsne/_placement.py``) call the kernels over ranges of rows,
and ``utils/threads.py`` decides on which thread.

Design
------
a) *Lanes.*  The innermost loop goes over 128 rows (clustering), or over all points
   that a row meets (embedding), in arrays of one dtype: that is what LLVM turns into
   vector code.  Chunks are padded to their full width, so that a row runs through the
   same instructions wherever it stands.  Memberships therefore do not depend on the
   batch, or on the order of the rows.
b) *Blocks.*  Sums are kept for each block of rows and added in the order of the blocks.
   Blocks depend on the data alone: results are bitwise equal for any number of threads.
c) *Relative similarities.*  s is divided by the similarity at the smallest distance.
   The ratio never underflows where it matters, and q does not change.
d) *exp and log of our own.*  numba vectorises ``math.exp`` only where Intel's SVML is
   installed, and then rounds differently.  Those of ``elementary`` are plain
   arithmetic, the same on every machine; tests/kernels/test_elementary.py bounds their
   relative errors by 2 and 3 times the rounding unit of the dtype.
e) *Fused loops.*  ``embedding_fused`` has s, 2g and the forces of the usual kernels in
   one loop, which is what makes a small map fast.  The formulas stand there a second
   time; tests/kernels/test_embedding.py compares both.
f) *Flags.*  Only sums may be reordered (``reduction``).  Infinities are data (points
   that are not connected), so that ``nnan`` and ``ninf`` stay off.
g) *Types.*  Kernels are generic in float32 and float64.  What belongs together is a
   NamedTuple, which costs nothing when compiled.

numba's on-disk cache notices an edit of a file, not of another one that it calls: after
an edit here run the tests, which begin by dropping a cache older than any source.
"""

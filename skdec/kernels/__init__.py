"""Numba loops over blocks of rows: no validation, no threads, no estimators.

``stages`` holds the mathematics, each formula once; ``clustering`` and ``embedding``
are the loops around it for the two estimators, every row of the table in the README;
``affinities`` calibrates the probabilities of the data; ``descent`` moves an embedding.

numba's on-disk cache notices an edit of a file, not of another one that it calls: after
an edit here run the tests, which begin by dropping a cache older than any source.
"""

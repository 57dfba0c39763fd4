"""Numba loops over blocks of rows: no validation, no threads, no estimators.

``pairs`` compares points with reference points (every row of the table in the
README); ``affinities`` calibrates the conditional probabilities of the data.
Kernels that call each other share one file, because numba's on-disk cache does
not notice an edit in another one.
"""

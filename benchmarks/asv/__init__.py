"""The compiled loops one by one, for asv: which of two commits is faster.

asv runs these files beside any commit of the package: they import nothing else of the
tree, and of the package what few commits change.  What asv calls before it times, and
``--quick`` does not, compiles.
"""

"""The compiled loops one by one, for asv: which of two commits is faster.

asv runs these files beside any commit of the package: they import nothing else of the
tree, and of the package what few commits change.  Each class compiles in ``setup``, for
any numbers of rows and threads.
"""

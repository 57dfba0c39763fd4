"""What must name every kind of similarity does."""

from typing import get_args

from skdec.kernels.types import KERNELS
from skdec.utils.typing import KernelName
from tests.kernels.common import FORMS


def test_every_kernel_is_named_and_tested():
    assert set(get_args(KernelName)) == set(KERNELS)
    assert {kernel for kernel, _ in FORMS} == set(KERNELS)
    assert len(set(KERNELS.values())) == len(KERNELS)

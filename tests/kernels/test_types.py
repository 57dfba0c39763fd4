"""What must name every kind of similarity does."""

from typing import get_args

from skdec.kernels.types import GAUSSIAN, KERNELS, STUDENT_T, Kernel
from skdec.utils.typing import KernelName
from tests.kernels.common import FORMS


def test_every_kernel_is_named_and_tested():
    assert set(get_args(KernelName)) == set(KERNELS)
    assert {kernel for kernel, _ in FORMS} == set(KERNELS)
    assert len(set(KERNELS.values())) == len(KERNELS)


def test_the_gaussian_is_as_wide_for_any_degrees_of_freedom():
    assert [Kernel(STUDENT_T, dof).width for dof in (1.0, 4.0)] == [1, 2]
    assert [Kernel(GAUSSIAN, dof).width for dof in (1.0, 4.0)] == [1, 1]

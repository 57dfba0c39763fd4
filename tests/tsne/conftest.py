"""Fixtures of this folder."""

import pytest

from skdec import ExactTSNE
from tests.tsne.common import DIGITS


@pytest.fixture(scope="module")
def digits():
    return ExactTSNE(random_state=0).fit(DIGITS[:1200])

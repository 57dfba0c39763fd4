"""Fixtures of this folder; nobody changes what is fitted."""

import pytest

from skdec import ExactTSNE
from tests.tsne.common import DIGITS


@pytest.fixture(scope="session")
def digits():
    return ExactTSNE(random_state=0).fit(DIGITS[:1200])

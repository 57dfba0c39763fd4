"""Fixtures of this folder."""

import pytest

from skdec import StudentTClustering
from tests.clustering.common import BLOBS


@pytest.fixture(scope="module")
def fitted():
    return StudentTClustering(4, random_state=0).fit(BLOBS)

"""Fixtures of this folder; nobody changes what is fitted."""

import pytest

from skdec import StudentTClustering
from tests.clustering.common import BLOBS


@pytest.fixture(scope="session")
def fitted():
    return StudentTClustering(4, random_state=0).fit(BLOBS)

"""The built site: ``python -m sphinx -W --keep-going -b html docs build/site``."""

from pathlib import Path

import pytest

SITE = Path(__file__).parents[2] / "build" / "site"


@pytest.fixture(scope="session")
def site():
    """The folder of the built site."""
    if not (SITE / "index.html").is_file():
        pytest.skip(f"the site is not built in {SITE}")
    return SITE

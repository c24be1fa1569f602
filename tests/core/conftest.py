"""Every test that asks for `backend` runs once on each of them."""

from __future__ import annotations

import pytest
from ferrule.core import Backend, BackendNotInstalledError, backend_names, get_backend


@pytest.fixture(scope="session", params=backend_names())
def backend(request: pytest.FixtureRequest) -> Backend:
    try:
        return get_backend(request.param)
    except BackendNotInstalledError as error:
        pytest.skip(str(error))

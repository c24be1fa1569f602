from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ferrule.hub.evaluation.multistep.service import Service, running_service
from ferrule.hub.evaluation.multistep.tasks import initial_states


class Client:
    """Calls operations of a service by their names."""

    def __init__(self, service: Service):
        self._service = service
        self._tools = {tool.name: tool for tool in service.tools}

    def __call__(self, operation: str, /, **arguments: Any) -> Any:
        return self._tools[operation].call(arguments)

    def fails(self, status: str, operation: str, /, **arguments: Any) -> None:
        """It is refused with that status, and nothing has changed."""
        before = self._service.state()
        with pytest.raises(Exception, match=status):
            self(operation, **arguments)
        assert self._service.state() == before

    @property
    def state(self) -> dict[str, Any]:
        return self._service.state()


@pytest.fixture
def client() -> Iterator[Callable[..., Client]]:
    """Starts the service in a state; for the parts that are named."""
    with running_service() as start:
        yield lambda state, *parts: Client(start(json.loads(json.dumps(initial_states()["Service"][state])), parts))

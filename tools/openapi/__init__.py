"""Tools from OpenAPI documents: operations are really called, and answers checked against the document.

>>> from ferrule.tools.openapi import load_openapi
>>> tools = load_openapi("https://api.example.com/openapi.json")  # doctest: +SKIP
>>> tools["get_pet"].call({"id": 7})  # doctest: +SKIP
{'id': 7, 'name': 'Rex'}
"""

from .errors import RequestError, ResponseError, StatusError
from .loading import load_openapi

__all__ = ["RequestError", "ResponseError", "StatusError", "load_openapi"]

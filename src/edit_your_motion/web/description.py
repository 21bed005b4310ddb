"""The API in the words of OpenAPI 3.1, from the same table that it is routed by."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edit_your_motion import __version__
from edit_your_motion.config import Section

if TYPE_CHECKING:
    from edit_your_motion.serving.endpoints import Endpoint

JSON = "application/json"
QUERIES: dict[str, dict[str, Any]] = {
    "offset": {"required": True, "schema": {"type": "integer", "minimum": 0}},
    "version": {"required": False, "schema": {"type": "string"}},
}
"""What may stand in a query."""


@dataclass(frozen=True)
class Address:
    """One address of the API, as it is routed and described.

    Args:
        method: of HTTP.
        path: as the router has it.
        endpoint: what answers.
        summary: what it is, in a few words.
        body: of the request: a section of JSON, a media type, or nothing.
        answers: media types of what is answered.
        query: names of what may stand in the query.
    """

    method: str
    path: str
    endpoint: "Endpoint"
    summary: str
    body: type[Section] | str | None = None
    answers: tuple[str, ...] = (JSON,)
    query: tuple[str, ...] = ()


def describe_api(addresses: Iterable[Address]) -> dict[str, Any]:
    """The document of all addresses below ``/api/``."""
    paths: dict[str, dict[str, Any]] = {}
    for each in addresses:
        if each.path.startswith("/api/"):
            paths.setdefault(each.path.replace(":int", ""), {})[each.method.lower()] = _describe(each)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Edit-Your-Motion", "version": __version__},
        "paths": paths,
        "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
        "security": [{}, {"token": []}],
    }


def _describe(address: Address) -> dict[str, Any]:
    error = {JSON: {"schema": {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}}}}
    operation: dict[str, Any] = {
        "summary": address.summary,
        "parameters": [
            *(
                {"name": name, "in": "path", "required": True, "schema": {"type": "integer" if whole else "string"}}
                for name, whole in re.findall(r"\{(\w+)(:int)?\}", address.path)
            ),
            *({"name": name, "in": "query", **QUERIES[name]} for name in address.query),
        ],
        "responses": {
            "200": {"description": "done", "content": {kind: {} for kind in address.answers}},
            "4XX": {"description": "refused; says in words why", "content": error},
            "5XX": {"description": "cannot be done now; says in words why", "content": error},
        },
    }
    if address.body is not None:
        kind, schema = (
            (address.body, {})
            if isinstance(address.body, str)
            else (JSON, {"schema": address.body.model_json_schema()})
        )
        operation["requestBody"] = {"required": True, "content": {kind: schema}}
    return operation

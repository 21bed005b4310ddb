"""The API in the words of OpenAPI 3.1, from the same table that it is routed by."""

import re
from collections.abc import Iterable
from typing import Any

from edit_your_motion import __version__
from edit_your_motion.config import Section

Described = tuple[str, str, str, "type[Section] | str | None"]
"""Method, path, summary, and what the body is: a section of JSON, a media type, or nothing."""


def describe_api(addresses: Iterable[Described]) -> dict[str, Any]:
    """The document of all addresses below ``/api/``."""
    paths: dict[str, dict[str, Any]] = {}
    for method, path, summary, body in addresses:
        if path.startswith("/api/"):
            paths.setdefault(path.replace(":int", ""), {})[method.lower()] = _describe(path, summary, body)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Edit-Your-Motion", "version": __version__},
        "paths": paths,
        "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
        "security": [{}, {"token": []}],
    }


def _describe(path: str, summary: str, body: "type[Section] | str | None") -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": summary,
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": {"type": "integer" if whole else "string"}}
            for name, whole in re.findall(r"\{(\w+)(:int)?\}", path)
        ],
        "responses": {
            "200": {"description": "done"},
            "4XX": {
                "description": "refused; says in words why",
                "content": {"application/json": {"schema": {"properties": {"error": {"type": "string"}}}}},
            },
        },
    }
    if path.endswith("/content"):
        operation["parameters"].append(
            {"name": "offset", "in": "query", "required": True, "schema": {"type": "integer"}}
        )
    if isinstance(body, str):
        operation["requestBody"] = {"required": True, "content": {body: {}}}
    elif body is not None:
        content = {"application/json": {"schema": body.model_json_schema()}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation

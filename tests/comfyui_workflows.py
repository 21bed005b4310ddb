"""ComfyUI's workflows as its editor saves them, into what its server is asked to run; and asking a server."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

WIDGETS = frozenset({"INT", "FLOAT", "STRING", "BOOLEAN", "COMBO"})

Specifications = Mapping[str, tuple[Any, dict[str, Any]]]


def read_inputs(info: Mapping[str, Any]) -> dict[str, Any]:
    """Type and options of each input of a node, by name, as the server describes it."""
    return {**info["input"].get("required", {}), **info["input"].get("optional", {})}


def is_widget(specification: Any) -> bool:
    return isinstance(specification[0], list) or specification[0] in WIDGETS


def as_prompt(workflow: Mapping[str, Any], nodes: Mapping[str, Any]) -> dict[str, Any]:
    """What the server runs: for each node its class, its links and the values of its widgets, by name."""
    origin = {link: [str(node), slot] for link, node, slot, *_ in workflow["links"]}
    prompt = {}
    for node in workflow["nodes"]:
        if node["type"] == "Note":
            continue
        given: dict[str, Any] = {}
        values = iter(node["widgets_values"])
        for name, specification in read_inputs(nodes[node["type"]]).items():
            options = specification[1] if len(specification) > 1 else {}
            if is_widget(specification):
                given[name] = next(values)
                if options.get("control_after_generate") or options.get("video_upload"):
                    next(values)  # of the button beside it
        given |= {each["name"]: origin[each["link"]] for each in node["inputs"] if each["link"] is not None}
        assert next(values, None) is None, f"{node['type']}: more values than inputs"
        prompt[str(node["id"])] = {"class_type": node["type"], "inputs": given}
    return prompt


def change(prompt: Mapping[str, Any], kind: str, **values: Any) -> None:
    """Sets inputs of all nodes of a class that have no link there."""
    for node in prompt.values():
        if node["class_type"] == kind:
            node["inputs"].update(values)


class Server:
    """A running ComfyUI."""

    def __init__(self, address: str) -> None:
        self.address = address

    def ask(self, path: str, content: Any = None) -> Any:
        data = None if content is None else json.dumps(content).encode()
        request = urllib.request.Request(f"{self.address}{path}", data, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read().decode()) from error
        return json.loads(text) if text else None

    def run(self, prompt: Mapping[str, Any], seconds: float = 600) -> dict[str, Any]:
        """Queues a prompt and waits; what the server keeps of it then."""
        id = self.ask("/prompt", {"prompt": prompt})["prompt_id"]
        return self.wait(id, seconds)

    def wait(self, id: str, seconds: float = 600) -> dict[str, Any]:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if id in (history := self.ask(f"/history/{id}")):
                return history[id]
            time.sleep(0.5)
        raise AssertionError(f"not done after {seconds} s")


def read_workflow(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))

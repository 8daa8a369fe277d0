"""Prints what the SAM transform makes of a template, once for each set of changes.

Run by the Python of `.venv-sam`. The arguments are the template and a JSON list of
objects, each of which says what to put in place of what is there, by the path in it.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse


def transformed(text: str, changes: dict[str, Any]) -> Any:
    template = yaml_parse(text)
    for path, value in changes.items():
        *outer, name = path.split(".")
        place = template
        for part in outer:
            place = place[part]
        place[name] = value
    defaults = {n: p.get("Default", "") for n, p in template["Parameters"].items()}
    return Translator({}, Parser()).translate(template, defaults)


if __name__ == "__main__":
    os.environ.setdefault("AWS_DEFAULT_REGION", "eu-central-1")
    text = Path(sys.argv[1]).read_text("utf-8")
    json.dump(
        [transformed(text, changes) for changes in json.loads(sys.argv[2])], sys.stdout
    )

"""The manuals name what there is: parameters, metrics, log lines, files."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from clerksync.bulk.report import Report

_ROOT = Path(__file__).parents[2]
_MANUALS = ("README.md", "docs/deploy.md", "docs/operations.md")
_DECISIONS = tuple(
    path.relative_to(_ROOT).as_posix()
    for path in sorted(_ROOT.glob("docs/decisions/*.md"))
)
_INDEX = "docs/decisions/README.md"
_SOURCES = "".join(
    path.read_text("utf-8")
    for pattern in ("layers/clerksync/clerksync/**/*.py", "functions/*/app.py")
    for path in sorted(_ROOT.glob(pattern))
)


class _Yaml(yaml.SafeLoader):
    """YAML whose tags are left aside."""


_Yaml.add_multi_constructor("!", lambda *_: None)
_TEMPLATE: dict[str, Any] = _Yaml(
    (_ROOT / "template.yaml").read_text("utf-8")
).get_single_data()


def _text(manual: str) -> str:
    return (_ROOT / manual).read_text("utf-8")


def _section(manual: str, heading: str) -> str:
    return _text(manual).partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def _code(manual: str, language: str) -> list[str]:
    blocks = re.findall(
        r"^ *```(\w*)\n(.*?)^ *```$", _text(manual), re.MULTILINE | re.DOTALL
    )
    return [text for kind, text in blocks if kind == language]


def _queries() -> list[str]:
    """Those of Logs Insights."""
    blocks = _code("docs/operations.md", "")
    return [text for text in blocks if text.startswith("fields ")]


def test_every_parameter_is_explained_with_its_default() -> None:
    """In the template's order; an empty default is an empty cell."""
    rows = re.findall(
        r"^\| `(\w+)` \| (?:`(.*?)`)? ?\| \S",
        _section("docs/deploy.md", "Parameters"),
        re.MULTILINE,
    )
    parameters = {n: str(p["Default"]) for n, p in _TEMPLATE["Parameters"].items()}
    assert rows == list(parameters.items())


def test_questions_that_are_answered_are_asked() -> None:
    """Of `sam deploy --guided`, for each parameter one."""
    section = _section("docs/deploy.md", "Build and deploy")
    asked = set(re.findall(r"`Parameter (\w+)`", section))
    assert asked
    assert asked <= _TEMPLATE["Parameters"].keys()


def test_answers_that_are_not_used_are_taken() -> None:
    """SAM takes no empty answer to a hidden question: so the manual gives another."""
    section = _section("docs/deploy.md", "Build and deploy")
    hidden = [n for n, p in _TEMPLATE["Parameters"].items() if p.get("NoEcho")]
    for name in hidden:
        (row,) = re.findall(rf"^\| `Parameter {name}` \| (.*)$", section, re.MULTILINE)
        (unused,) = re.findall(r"`(\S*unused)`", row)
        assert re.fullmatch(_TEMPLATE["Parameters"][name]["AllowedPattern"], unused)


@pytest.mark.parametrize("manual", _MANUALS)
def test_outputs_and_events_of_commands_are_there(manual: str) -> None:
    """A command that is pasted finds what it names."""
    commands = "".join(_code(manual, "sh"))
    outputs = set(re.findall(r"(?:^|\()output (\w+)", commands, re.MULTILINE))
    assert outputs <= _TEMPLATE["Outputs"].keys()
    for event in re.findall(r"events/\w+\.json", _text(manual)):
        assert json.loads(_text(event))


@pytest.mark.parametrize("manual", [*_MANUALS, *_DECISIONS])
def test_links_lead_somewhere(manual: str) -> None:
    """To a file of the repository, and there to a heading."""
    links = re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)", _text(manual))
    assert links
    for path, anchor in links:
        target = (_ROOT / manual).parent / path if path else _ROOT / manual
        assert target.exists(), path
        if anchor:
            headings = re.findall(r"^#+ (.*)$", target.read_text("utf-8"), re.MULTILINE)
            assert anchor in map(_anchor, headings)


def _anchor(heading: str) -> str:
    """As GitHub makes it."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def test_index_has_every_decision_in_order() -> None:
    """Once each, under its own heading, and no file is left out."""
    entries = re.findall(
        r"^- \[(.+)\]\((\S+)#\S+\):\n  \S", _text(_INDEX), re.MULTILINE
    )
    files = dict.fromkeys(file for _, file in entries)
    decided = [(h, file) for file in files for h, _ in _records(file)]
    assert entries == decided
    assert {f"docs/decisions/{file}" for file in files} | {_INDEX} == {*_DECISIONS}


@pytest.mark.parametrize("decisions", sorted({*_DECISIONS} - {_INDEX}))
def test_every_decision_says_what_and_why(decisions: str) -> None:
    """In that order, under the labels of the index."""
    for heading, text in _records(Path(decisions).name):
        labels = re.findall(r"^\*\*(.+?)\.\*\*", text, re.MULTILINE)
        assert labels[:2] == ["Decision", "Why"], heading
        assert labels[2:] in (
            [],
            ["Instead of"],
            ["Consequence"],
            ["Instead of", "Consequence"],
        ), heading


def _records(file: str) -> list[tuple[str, str]]:
    """The headings of a file of decisions, each with its text."""
    return re.findall(
        r"^## (.*)\n((?:(?!## ).*\n)*)", _text(f"docs/decisions/{file}"), re.MULTILINE
    )


def test_queries_look_for_lines_that_are_logged() -> None:
    """A misspelt message or field would find nothing, without a word."""
    queries = "".join(_queries())
    reported = Report.__dataclass_fields__.keys()
    assert set(re.findall(r"report\.(\w+)", queries)) <= reported
    for messages in re.findall(r'message (?:=|in) ("[^"]+"|\[[^]]+\])', queries):
        for message in re.findall(r'"([^"]+)"', messages):
            assert re.search(rf'(?:logger\.\w+|log)\("{message}"', _SOURCES)
    ours = {"error", "reason", "sqlstate", "constraint", "column"}
    ours |= {"clerk_id", "svix_id", "run_id", "status", "type", "action"}
    powertools = {"level", "message"}
    shown = re.findall(r"^fields (.*)$", queries, re.MULTILINE)
    fields = {name for line in shown for name in line.split(", ")}
    plain = {n for n in fields if not n.startswith(("@", "report."))}
    assert plain <= ours | powertools
    for name in ours:
        assert re.search(rf'\b{name}=|"{name}"(\]|: )', _SOURCES), name


def test_every_metric_is_in_the_table() -> None:
    """With its unit; the table has no other."""
    section = _section("docs/operations.md", "Metrics")
    rows = re.findall(r"^\| (`.*?) \| (count|milliseconds) \|", section, re.MULTILINE)
    units = {n: unit for names, unit in rows for n in re.findall(r"`(\w+)`", names)}
    counted = set(re.findall(r'\bcount\(\s*"(\w+)"', _SOURCES))
    timed = set(re.findall(r'\bcount_milliseconds\(\s*"(\w+)"', _SOURCES))
    for name, field in Report.__dataclass_fields__.items():
        if field.type is int or field.type == "int":
            metric = "BulkSync" + name.removesuffix("_ms").title().replace("_", "")
            (timed if name.endswith("_ms") else counted).add(metric)
    status = ("Completed", "Partial", "Refused", "Failed")
    counted |= {f"BulkSyncRun{name}" for name in status}
    composed = {
        "Webhooks": "Created Updated Unchanged Deleted Skipped Ignored Failed "
        "RejectedSignature RejectedPayload",
        "SelfSyncs": "Created Updated Unchanged Skipped Failed RejectedToken "
        "RejectedUser RejectedPayload",
    }
    for door, ends in composed.items():
        counted |= {door + end for end in ends.split()}
    assert {n for n, unit in units.items() if unit == "count"} == counted
    assert {n for n, unit in units.items() if unit == "milliseconds"} == timed

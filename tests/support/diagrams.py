"""The mermaid pages, made from the tables they show."""

from __future__ import annotations

from peerfhir.pathway.referral import SHOWN
from peerfhir.pathway.transitions import FINAL, OPEN, TASK_MOVES, TRANSITIONS, Event, task_status_of
from peerfhir.pathway.vocabulary import CompleteOn, Role, Status

_ANYTIME = (
    Event.PAUSE,
    Event.REDIRECT,
    Event.DECLINE_PERSON,
    Event.WITHDRAW_REFERRER,
    Event.WITHDRAW_PERSON,
    Event.TRANSFER,
    Event.MISTAKE,
    Event.ASK_QUESTION,
    Event.GIVE_UP,
    Event.DECLINE_PROGRAM,
)

_HEAD = """# The states of a referral

For everyone who works on the pathway; this page lists. It is made from the table in
`src/peerfhir/pathway/transitions.py` by `python -m tests.support.diagrams`; a test compares the two.
"""


def _node(status: Status) -> str:
    return status.value.replace("-", "_")


def _who(actors: frozenset[Role]) -> str:
    return ", ".join(sorted(role.value for role in actors))


def _usual_way() -> list[str]:
    lines = ["```mermaid", "stateDiagram-v2", "    [*] --> sent"]
    lines += [f"    {_node(status)} : {status.value}" for status in (*OPEN, Status.ENROLLED) if "-" in status.value]
    for (source, event), transition in TRANSITIONS.items():
        if event in _ANYTIME or transition.to is None:
            continue
        lines.append(f"    {_node(source)} --> {_node(transition.to)} : {event.value}")
    lines += ["    enrolled --> [*]", "```"]
    return lines


def _steps() -> list[str]:
    lines = ["| step | from | to | by | needs a sentence |", "|---|---|---|---|---|"]
    for event in Event:
        rows: dict[tuple[Status | None, frozenset[Role], bool], list[str]] = {}
        for (source, one), transition in TRANSITIONS.items():
            if one is event:
                rows.setdefault((transition.to, transition.actors, transition.needs_reason), []).append(source.value)
        for (to, actors, reason), sources in rows.items():
            where = "any open state" if len(sources) == len(OPEN) else ", ".join(sources)
            where = "any state" if len(sources) > len(OPEN) else where
            target = "where it came from" if to is None else to.value
            lines.append(f"| {event.value} | {where} | {target} | {_who(actors)} | {'yes' if reason else ''} |")
    return lines


def _statuses() -> list[str]:
    lines = ["| status | Task.status | shown to the referrer |", "|---|---|---|"]
    for status in (*OPEN, *FINAL):
        task = task_status_of(status, CompleteOn.ENROLLED).value
        lines.append(f"| {status.value} | {task} | {SHOWN.get(status, 'Referral closed')} |")
    return lines


def _task_moves() -> list[str]:
    lines = ["```mermaid", "stateDiagram-v2", "    [*] --> requested"]
    for before, afters in TASK_MOVES.items():
        for after in sorted(afters):
            lines.append(f"    {before.value.replace('-', '_')} --> {after.value.replace('-', '_')}")
    return [*lines, "```"]


def referral_states() -> str:
    """docs/referral-states.md, complete."""
    parts = [
        _HEAD,
        "## The usual way\n",
        *_usual_way(),
        "\n## Every step\n",
        *_steps(),
        "\nA referral that has ended is left only by `mistake`; a new try is a new referral. `give-up` needs the attempts",
        "that the program demands, or a coordinator's sentence. When the program says `complete_on: episode-closed`, an",
        "enrolled referral is still open.",
        "\n## What the Task says\n",
        "Coming from `requested`, with `complete_on: enrolled`. A Task never goes back: after acceptance it does not",
        "return to `requested`, a hold is left for `in-progress`, and a refusal after acceptance is `cancelled`.\n",
        *_statuses(),
        "\n## How a Task moves\n",
        *_task_moves(),
        "\nFrom any of them `entered-in-error` may follow. What the referrer is told may be less than the status above:",
        "before the person's own choice only that the order was received, is being reviewed, waits, is in contact or is",
        "closed; and `outreach`, `intro-missed` and `deciding` are told as `in-contact` without a grant of attendance.",
    ]
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    print(referral_states(), end="")

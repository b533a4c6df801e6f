"""Scores of an instrument as plain sums of what its options weigh, for exports."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

from peerfhir.mapping.instruments import Form, Option

_TRIES = 50  # random answer sets on which a score must be the sum of its weights


def chain(chosen: Sequence[tuple[Option, str]], say: Callable[[Option], str]) -> str:
    """What is said of the first option whose condition holds, as an expression."""
    rest = "{}"
    for option, condition in reversed(chosen):
        rest = f"iif({condition}, {say(option)}, {rest})"
    return rest


def added(form: Form, choices: Mapping[str, Sequence[Option]]) -> list[str] | None:
    """The items whose weights a score adds; None when on some set of complete answers it is another number.

    Tried are the lowest and the highest answers, each item moved alone, and random sets with a fixed seed.
    """
    base = {name: options[0].code for name, options in choices.items()}
    start = form.score(base).total
    if start is None:
        return None
    moved = {name: [form.score({**base, name: one.code}).total for one in options] for name, options in choices.items()}
    scored = [name for name, totals in moved.items() if any(total != start for total in totals)]
    chance = random.Random(1)
    sets = [base, {name: options[-1].code for name, options in choices.items()}]
    sets += [{**base, name: one.code} for name, options in choices.items() for one in options]
    sets += [{name: chance.choice(options).code for name, options in choices.items()} for _ in range(_TRIES)]
    weights = {name: {one.code: one.weight for one in options} for name, options in choices.items()}
    for answers in sets:
        parts = [one for name in scored if (one := weights[name][answers[name]]) is not None]
        if len(parts) < len(scored) or form.score(answers).total != sum(parts, Decimal(0)):
            return None
    return scored

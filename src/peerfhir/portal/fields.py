"""Controls of a page: each with a label, its hint, what was entered, and what is wrong with it; and lists of facts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from peerfhir.pathway.refusals import Refusal
from peerfhir.portal.words import Words


@dataclass(frozen=True)
class Option:
    """One of the answers offered."""

    value: str
    text: str
    hint: str = ""


@dataclass(frozen=True)
class Field:
    """One control. kind: text | password | area | number | moment | day | select | radios | check | checks | hidden."""

    name: str
    label: str
    kind: str = "text"
    hint: str = ""
    options: tuple[Option, ...] = ()
    values: tuple[str, ...] = ()  # what was entered; one, except for checks
    error: str = ""
    needed: bool = False
    limit: int | None = None  # characters
    words: int | None = None  # words
    more: tuple[Option, ...] = ()  # of checks: shown behind one tap
    place: str = ""  # makes ids unique when several forms of a page have the same name
    autocomplete: str = "off"

    @property
    def id(self) -> str:
        """The id of the control, or of the first one of a group."""
        return f"f-{self.place}{self.name}".replace("/", "").replace(".", "-")

    @property
    def value(self) -> str:
        """What was entered, of a control that holds one value."""
        return self.values[0] if self.values else ""

    @property
    def opened(self) -> bool:
        """A tick stands among those behind the tap."""
        return any(option.value in self.values for option in self.more)


@dataclass(frozen=True)
class Fact:
    """A line of a list of facts."""

    name: str
    text: str


@dataclass(frozen=True)
class Filled:
    """What came with a form: values by name, and a sentence for each field that needs another look."""

    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)
    general: tuple[str, ...] = ()  # sentences about the whole form

    def into(self, control: Field) -> Field:
        """The control with what was entered and what is wrong."""
        values = self.values.get(control.name, () if self.values else control.values)
        return replace(control, values=values, error=self.errors.get(control.name, ""))

    @property
    def good(self) -> bool:
        """Nothing needs another look."""
        return not self.errors and not self.general


@dataclass(frozen=True)
class Problem:
    """A line of the summary above a form; `target` is the id of the control it is about."""

    text: str
    target: str = ""


def problems(filled: Filled, controls: Iterable[Field]) -> tuple[Problem, ...]:
    """The summary of a form: its general sentences first, then each field in the order of the page."""
    at = {control.name: control for control in controls}
    lines = [Problem(text) for text in filled.general]
    lines += [Problem(f"{at[name].label}: {text}", at[name].id) for name, text in filled.errors.items() if name in at]
    lines += [Problem(text) for name, text in filled.errors.items() if name not in at]
    return tuple(lines)


def options(texts: Mapping[str, str], only: Iterable[str] | None = None) -> tuple[Option, ...]:
    """Options from words, all of them or only those named, in the order named."""
    return tuple(Option(code, texts[code]) for code in (texts if only is None else only))


def refused(filled: Filled, refusal: Refusal, words: Words) -> Filled:
    """What was entered, with the sentence of a refusal at its field, or above the form when it names none."""
    name = (refusal.field or "").partition(".")[0]
    at = f"refusal_at.{refusal.reason}.{name}"
    if name and words.knows(at):
        return Filled(filled.values, {**filled.errors, name: words.say(at)}, filled.general)
    return Filled(filled.values, filled.errors, (*filled.general, words.say(f"refusal.{refusal.reason}")))

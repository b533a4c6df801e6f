"""What expressions of a mapping read, and the values of a record in search text, for exports."""

from __future__ import annotations

from peerfhir.fhir.fhirpath.parser import Binary, Call, Expression, Index, Member, TypeTest, Unary, Variable
from peerfhir.mapping.exports.expression_text import FOCUSED, Words, quoted

# Signs that are percent-encoded, the percent sign first; the two that need an escape in a text are not among them
_RESERVED = '% !"#$&()*+,/:;<=>?@[]^`{|}'


def mentioned(node: Expression, words: Words) -> frozenset[str]:
    """What an expression reads: "record", `%name` of an item, "?" for what a condition cannot see."""
    match node:
        case Member(base=None):
            return frozenset(("record",))
        case Variable(name=name) if name in words.items:
            return frozenset((f"%{name}",))
        case Variable(name=name) if name in words.names:
            meaning = words.names[name]
            return frozenset("?") if isinstance(meaning, str) else mentioned(meaning.tree, meaning.words)
        case Variable(name=name):
            return frozenset(("record",)) if name in ("source", "context", "resource") else frozenset()
        case Member(base=base) if base is not None:
            return mentioned(base, words)
        case Call(base=base, arguments=arguments):
            below = [] if base is None else [base]
            inside = [] if node.name in FOCUSED else list(arguments)  # a name in where() is of what stands before it
            named = [one for one in arguments if node.name in FOCUSED]
            found = frozenset[str]().union(*(mentioned(one, words) for one in [*below, *inside]))
            return found.union(*(mentioned(one, words) - {"record"} for one in named))
        case Index(base=base, index=index):
            return mentioned(base, words) | mentioned(index, words)
        case Unary(operand=operand) | TypeTest(operand=operand):
            return mentioned(operand, words)
        case Binary(left=left, right=right):
            return mentioned(left, words) | mentioned(right, words)
    return frozenset()


def searched(text: str) -> str:
    """A value in search text, as FHIRPath: the escapes of FHIR, then percent-encoding of every sign of ASCII.

    No escape stands in the expression, because readers of FML lose them: an apostrophe is what is left between & and (,
    a backslash is what is left at the end. Nothing names $this, which engines read differently in an argument.

    Source  FHIR R4 search.html, Escaping Search Parameters; RFC 3986, 2.1
    """
    for sign in _RESERVED:
        escape = "%5C" if sign in ",|$" else ""
        text += f".replace({quoted(sign)}, '{escape}%{ord(sign):02X}')"
    return f"{text}.replaceMatches('[&-(]', '%27').replaceMatches('[^A-Za-z0-9_.~%-]', '%5C%5C')"

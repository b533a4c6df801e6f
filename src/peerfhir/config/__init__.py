"""What a site sets: the settings every room may be given, and the YAML reader behind them."""

from peerfhir.config.document import Mark, Node, YamlProblem, compose
from peerfhir.config.settings import EndpointAuth, EndpointSettings, Limits, ProgramSettings, Settings, WriteRule

__all__ = [
    "EndpointAuth",
    "EndpointSettings",
    "Limits",
    "Mark",
    "Node",
    "ProgramSettings",
    "Settings",
    "WriteRule",
    "YamlProblem",
    "compose",
]

"""W3C PROV-CONSTRAINTS: is an instance of PROV a history that can have happened?

`check` takes the statements of one instance (a bundle, or what of a document stands in none:
each is valid or not by itself, §7.2) and gives what it violates. Source: Constraints of the PROV
Data Model, W3C Recommendation 30 April 2013.
"""

from .check import check, examine
from .facts import SIGNATURES, Fact, Parameter, Value
from .report import Findings, Remark, Step, Violation
from .rules import RULES, Rule

__all__ = [
    "RULES",
    "SIGNATURES",
    "Fact",
    "Findings",
    "Parameter",
    "Remark",
    "Rule",
    "Step",
    "Value",
    "Violation",
    "check",
    "examine",
]

"""How reward is shared: layer rules for linear operations, sharing rules for spiking neurons."""

from lfp_snn.rules.layer import AlphaBeta, Epsilon, Gamma, Part, Rule, Term, Zero, ZPlus
from lfp_snn.rules.sharing import Conserving, Contribution, Reference, Sharing

RULES: dict[str, type[Rule]] = {
    "epsilon": Epsilon,
    "zero": Zero,
    "gamma": Gamma,
    "alpha-beta": AlphaBeta,
    "z-plus": ZPlus,
}
"""The layer rules by the names that configurations use."""

SHARINGS: dict[str, type[Sharing]] = {
    "reference": Reference,
    "contribution": Contribution,
    "conserving": Conserving,
}
"""The neurons' sharing rules by the names that configurations use."""

__all__ = [
    "RULES",
    "SHARINGS",
    "AlphaBeta",
    "Conserving",
    "Contribution",
    "Epsilon",
    "Gamma",
    "Part",
    "Reference",
    "Rule",
    "Sharing",
    "Term",
    "ZPlus",
    "Zero",
]

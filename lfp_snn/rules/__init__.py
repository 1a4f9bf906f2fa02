"""How reward is shared: layer rules for linear operations, sharing rules for spiking neurons."""

from lfp_snn.rules.layer import (
    AlphaBeta,
    Epsilon,
    Flat,
    Gamma,
    Part,
    Pass,
    Rule,
    Term,
    WSquare,
    ZBox,
    Zero,
    ZPlus,
)
from lfp_snn.rules.sharing import Conserving, Contribution, Reference, Sharing

RULES: dict[str, type[Rule]] = {
    "epsilon": Epsilon,
    "zero": Zero,
    "gamma": Gamma,
    "alpha-beta": AlphaBeta,
    "z-plus": ZPlus,
}
"""The layer rules by the names that configurations use; those for first layers are not among them."""

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
    "Flat",
    "Gamma",
    "Part",
    "Pass",
    "Reference",
    "Rule",
    "Sharing",
    "Term",
    "WSquare",
    "ZBox",
    "ZPlus",
    "Zero",
]

"""The order of arrival as an adversary: the least edits that flip a class (semantics, section 14).

found = eventsnn.adversary.attack(snn, images, neuron="snm", steps=8)
print(found.table())
found.replay(0)
"""

from eventsnn.studies.adversary.attacking import attack
from eventsnn.studies.adversary.attacks import Adversary, Attack
from eventsnn.studies.adversary.budgets import Budget, of_edits, of_order, of_times
from eventsnn.studies.adversary.retiming import Retiming, Retimings, read_retimed, retime

__all__ = [
    "Adversary",
    "Attack",
    "Budget",
    "Retiming",
    "Retimings",
    "attack",
    "of_edits",
    "of_order",
    "of_times",
    "read_retimed",
    "retime",
]

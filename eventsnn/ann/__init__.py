"""The ANN as it was trained: its graph, its operators, and its own forward pass."""

from eventsnn.ann.forward import predict
from eventsnn.ann.graph import Graph, Node, Preprocessing

__all__ = ["Graph", "Node", "Preprocessing", "predict"]

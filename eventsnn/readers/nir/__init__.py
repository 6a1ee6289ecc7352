"""NIR graphs, the Neuromorphic Intermediate Representation."""

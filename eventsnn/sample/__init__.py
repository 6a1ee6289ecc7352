"""The bundled sample: a network with QCFS activations (network.h5) and Fashion-MNIST images
(images.npz).
"""

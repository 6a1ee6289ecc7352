"""Makes the files beside it: small Keras models with random weights, and what Keras makes of them.

    pip install keras tensorflow && python tests/files/keras/make.py
    pip install "tensorflow==2.15.*" && python tests/files/keras/make.py
    pip install "tensorflow==2.8.*" && python tests/files/keras/make.py functional nested

Each version of Keras writes its own files: NAME-VERSION.h5 and, with three images [N, H, W, C] (or
[N, C, H, W]) and outputs, NAME-VERSION.npz.
"""

import sys
from pathlib import Path

import keras
import numpy as np
from keras import layers


def sequential():
    """Strides that pad on one side; BatchNormalization around activations, and behind Flatten."""
    return keras.Sequential(
        [
            keras.Input((9, 8, 3)),
            layers.Conv2D(4, 3, strides=2, padding="same", activation="relu"),
            layers.BatchNormalization(),
            layers.Conv2D(5, (3, 2), padding="same", use_bias=False),
            layers.BatchNormalization(scale=False, epsilon=0.01),
            layers.ReLU(6.0),
            layers.MaxPooling2D(2, padding="same"),
            layers.Flatten(),
            layers.BatchNormalization(center=False),
            layers.Dropout(0.5),
            layers.Dense(7),
            layers.BatchNormalization(),
            layers.Activation("relu"),
            layers.Dense(4, activation="softmax"),
        ]
    )


def functional():
    """Branches, separable and grouped convolutions, every pooling; one convolution used twice."""
    image = keras.Input((8, 7, 2), name="image")
    stem = layers.Conv2D(
        4,
        3,
        padding="same",
        activation="relu6" if keras.__version__ >= "3" else "relu",
        name="stem",
    )(image)
    twice = layers.Conv2D(4, 3, padding="same", activation="relu", name="twice")
    x = layers.Add(name="sum")([twice(twice(stem)), stem])
    wide = layers.ZeroPadding2D(((0, 1), (2, 1)), name="pad")(x)
    wide = layers.DepthwiseConv2D(3, depth_multiplier=2, strides=2, name="depthwise")(wide)
    wide = layers.ReLU(name="relu")(wide)
    deep = layers.SeparableConv2D(
        6, 3, strides=2, padding="same", depth_multiplier=2, name="separable"
    )(x)
    deep = layers.Activation("relu", name="act")(deep)
    mean = layers.AveragePooling2D(3, strides=2, padding="same", name="mean")(x)
    x = layers.Concatenate(name="join")([wide, deep, mean])
    x = layers.Conv2D(6, 2, groups=2, dilation_rate=2, activation="relu", name="groups")(x)
    x = layers.UpSampling2D((2, 3), name="up")(x)
    x = layers.Conv2D(4, 3, strides=2, activation="relu", name="conv")(x)
    x = layers.concatenate(
        [
            layers.GlobalAveragePooling2D(name="average")(x),
            layers.GlobalMaxPooling2D(name="largest")(x),
            layers.Flatten(name="flat")(x),
        ],
        name="all",
    )
    return keras.Model(image, layers.Dense(3, activation="sigmoid", name="classes")(x))


def nested():
    """A frozen network in a network, as transfer learning has it, behind scaled pixels."""
    image = keras.Input((6, 6, 3))
    x = layers.Conv2D(4, 3, use_bias=False)(image)
    x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
    base = keras.Model(
        image, layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(5, 3)(x))), name="base"
    )
    base.layers[-2].trainable = False
    head = keras.Sequential(
        [
            keras.Input((2, 2, 5)),
            layers.Flatten(),
            layers.BatchNormalization(),
            layers.Dense(6, activation="relu"),
            layers.BatchNormalization(),
        ],
        name="head",
    )
    outer = keras.Input((6, 6, 3))
    x = layers.Rescaling(1 / 127.5, offset=-1.0)(outer)
    return keras.Model(
        outer,
        layers.Dense(3)(
            head(base(layers.Normalization(mean=[0.1, 0.2, 0.3], variance=[0.5, 0.6, 0.7])(x)))
        ),
    )


def mobile():
    """The end of MobileNet: a pooled vector that becomes a map again."""
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Normalization(),
            layers.ZeroPadding2D(((0, 1), (0, 1))),
            layers.Conv2D(4, 3, strides=2, use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(6.0),
            layers.DepthwiseConv2D(3, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(6.0),
            layers.GlobalAveragePooling2D(),
            layers.Reshape((1, 1, 4)),
            layers.Dropout(0.1),
            layers.Conv2D(3, 1),
            layers.Reshape((3,)),
            layers.Activation("softmax"),
        ]
    )


def channels_first():
    """Maps as [C, H, W]; Flatten moves the channels last, Reshape does not."""
    first = {"data_format": "channels_first"}
    image = keras.Input((2, 7, 6))
    x = layers.Conv2D(4, 3, strides=2, padding="same", activation="relu", **first)(image)
    x = layers.Concatenate(axis=1)(
        [layers.MaxPooling2D(2, **first)(x), layers.AveragePooling2D(2, **first)(x)]
    )
    x = layers.Activation("relu")(layers.BatchNormalization(axis=1)(x))
    both = [layers.Dense(3)(layers.Flatten(**first)(x)), layers.Dense(3)(layers.Reshape((-1,))(x))]
    return keras.Model(image, layers.Add()(both))


def bent():
    """Activations that let values below 0 pass, with shared slopes and slopes of each value."""
    slope = "negative_slope" if keras.__version__ >= "3" else "alpha"
    image = keras.Input((6, 6, 2))
    x = layers.LeakyReLU(**{slope: 0.2})(layers.Conv2D(4, 3, padding="same")(image))
    x = layers.PReLU(shared_axes=[1, 2])(layers.Conv2D(4, 3)(layers.MaxPooling2D(2)(x)))
    x = layers.PReLU()(layers.Conv2D(3, 1)(layers.UpSampling2D(2)(x)))
    x = layers.ReLU(max_value=1.0, negative_slope=0.25)(x)
    x = layers.LeakyReLU()(layers.Dense(5)(layers.Flatten()(x)))
    x = layers.Dense(4, activation="hard_sigmoid")(layers.PReLU()(layers.Dense(5)(x)))
    return keras.Model(image, layers.Dense(3)(x))


def sequence():
    """Convolutions and pools of sequences, as for sound, ECG and EEG."""
    image = keras.Input((24, 3))
    x = layers.Conv1D(4, 5, strides=2, padding="same", activation="relu")(image)
    x = layers.BatchNormalization(axis=2 if keras.__version__ < "3" else -1)(x)
    x = layers.ReLU()(layers.Conv1D(6, 3, padding="causal", dilation_rate=2)(x))
    x = layers.SpatialDropout1D(0.1)(layers.MaxPooling1D(2)(x))
    x = layers.Conv1D(4, 3, groups=2, activation="relu")(layers.ZeroPadding1D((1, 2))(x))
    x = layers.Activation("relu")(layers.SeparableConv1D(5, 2)(layers.UpSampling1D(2)(x)))
    x = layers.AveragePooling1D(2, strides=1, padding="same")(layers.Cropping1D((1, 0))(x))
    x = layers.Dense(4, activation="relu")(x)
    both = [layers.GlobalAveragePooling1D()(x), layers.GlobalMaxPooling1D()(x)]
    return keras.Model(image, layers.Dense(3)(layers.Concatenate()([*both, layers.Flatten()(x)])))


def heartbeat():
    """A vector that becomes a sequence of one channel."""
    return keras.Sequential(
        [
            keras.Input((20,)),
            layers.Reshape((20, 1)),
            layers.Conv1D(4, 5, activation="relu"),
            layers.MaxPooling1D(),
            layers.Flatten(),
            layers.Dense(3, activation="softmax"),
        ]
    )


def moved():
    """What only moves values: other orders of axes, other shapes, cut borders."""
    image = keras.Input((6, 8, 2))
    x = layers.Permute((2, 1, 3))(layers.Conv2D(3, 3, activation="relu")(image))
    x = layers.Cropping2D(((1, 0), (0, 1)))(x)
    x = layers.Reshape((3, 5, 3))(x)
    x = layers.Conv2D(4, 2, activation="relu")(layers.Permute((3, 1, 2))(x))
    tall = layers.Concatenate(axis=1)([x, layers.Conv2D(x.shape[-1], 1)(x)])
    return keras.Model(image, layers.Dense(3)(layers.Flatten()(layers.Dense(2)(tall))))


def caffe():
    """preprocess_input of VGG16 in the model: channels turned round, and means."""
    image = keras.Input((6, 6, 3))
    x = keras.applications.vgg16.preprocess_input(image)
    x = layers.Conv2D(4, 3, padding="same", activation="relu")(x)
    return keras.Model(image, layers.Dense(3)(layers.Flatten()(x)))


def signed():
    """preprocess_input of MobileNetV2 in the model, and slices and sums of images."""
    image = keras.Input((6, 6, 3))
    x = keras.applications.mobilenet_v2.preprocess_input(image)
    x = layers.Conv2D(4, 3, padding="same", activation="relu")(x[:, 1:, ::2])
    x = layers.ReLU()(layers.Conv2D(4, 1)(x) * 2.0 - x / 2.0 + 0.25)
    return keras.Model(image, layers.Dense(3)(layers.Flatten()(x[..., 1:] + x[..., :3])))


def imagenet():
    """preprocess_input of DenseNet in the model: another mean and deviation a channel."""
    image = keras.Input((6, 6, 3))
    x = keras.applications.densenet.preprocess_input(image)
    x = layers.Conv2D(4, 3, activation="relu")(x)
    return keras.Model(image, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))


def heads():
    """Two outputs, of three and of two classes."""
    image = keras.Input((5, 5, 2))
    x = layers.Flatten()(layers.Conv2D(3, 3, activation="relu")(image))
    return keras.Model(image, [layers.Dense(n, name=f"head_{n}")(x) for n in (3, 2)])


def quantised():
    """QKeras: quantised weights and activations, by objects and by texts; pip install qkeras."""
    import qkeras

    four, bits = qkeras.quantized_bits(4, 0, alpha=1), "quantized_bits(3,0,1,alpha=1)"
    image = keras.Input((6, 6, 2))
    x = qkeras.QConv2D(4, 3, padding="same", kernel_quantizer=four)(image)
    x = qkeras.QActivation(qkeras.quantized_relu(3, 1))(layers.BatchNormalization()(x))
    x = qkeras.QDepthwiseConv2D(2, depthwise_quantizer=four)(x)
    x = qkeras.QActivation("quantized_relu(4)")(layers.ReLU()(layers.MaxPooling2D(2)(x)))
    x = qkeras.QDense(5, kernel_quantizer=bits, activation=qkeras.quantized_relu(6, 2))(
        layers.Flatten()(x)
    )
    return keras.Model(image, qkeras.QDense(3, kernel_quantizer=four, bias_quantizer=four)(x))


def fill(model, rng):
    """Random weights of which every activation makes something."""
    for layer in model.layers:
        if hasattr(layer, "layers"):
            fill(layer, rng)
            continue
        values = []
        for w in layer.weights:
            name, shape = w.name.split("/")[-1].split(":")[0], tuple(w.shape)
            if "variance" in name or "gamma" in name:
                values.append(rng.uniform(0.5, 1.5, shape))
            elif "kernel" in name:
                values.append(rng.normal(0, 1.4 / np.sqrt(max(np.prod(shape[:-1]), 1)), shape))
            else:
                values.append(rng.normal(0, 0.3, shape) if name != "count" else np.zeros(shape))
        layer.set_weights(values)


def vgg16():
    """VGG16 of Keras Applications with 5 channels in each convolution."""
    config = keras.applications.VGG16(weights=None).get_config()
    for layer in config["layers"]:
        layer.pop("build_config", None)
        layer["config"] |= {"filters": 5} if "filters" in layer["config"] else {}
        layer["config"] |= (
            {"units": {"fc1": 6, "fc2": 5}.get(layer["config"]["name"], 4)}
            if "units" in layer["config"]
            else {}
        )
    return keras.Model.from_config(config)


PIXELS = (nested, caffe, signed, imagenet)  # those that take pixels from 0 to 255
MODELS = (
    sequential,
    functional,
    nested,
    mobile,
    channels_first,
    bent,
    sequence,
    heartbeat,
    moved,
    caffe,
    signed,
    imagenet,
    heads,
)


def save(make, folder, version):
    """Write a model's files; returns its images and Keras's outputs from the file as read."""
    rng, stem = np.random.default_rng(7), folder / f"{make.__name__}-{version}"
    model = make()
    fill(model, rng)
    if make is vgg16:
        model.save_weights(f"{stem}.h5" if version < "3" else f"{stem}.weights.h5")
        images = rng.integers(0, 256, (2, 7, 7, 3)).astype(np.uint8).repeat(32, 1).repeat(32, 2)
        return images, model.predict(
            keras.applications.vgg16.preprocess_input(images.astype(np.float32)), verbose=0
        )
    images = rng.uniform(0, 255 if make in PIXELS else 1, (3, *model.input_shape[1:])).astype(
        np.float32
    )
    model.save(f"{stem}.h5", include_optimizer=False)
    if tuple(map(int, version.split(".")[:2])) >= (2, 12):
        if version >= "3" or make not in (caffe, signed, quantised):  # which Keras 2 cannot write
            model.save(f"{stem}.keras")
    if make is nested:
        model.save_weights(f"{stem}.weights.h5")
        Path(f"{stem}.json").write_text(model.to_json())
    if make is quantised:
        return images, model.predict(images, verbose=0)
    # Keras 3 cannot read its own .h5 where a function is called like a layer
    saved = f"{stem}.keras" if version >= "3" else f"{stem}.h5"
    outputs = keras.models.load_model(saved).predict(images, verbose=0)
    return images, np.concatenate(outputs, axis=1) if isinstance(outputs, list) else outputs


def main(names):
    folder, version = Path(__file__).parent, ".".join(keras.__version__.split(".")[:2])
    for make in [globals()[name] for name in names] or [*MODELS, vgg16]:
        images, outputs = save(make, folder, version)
        np.savez_compressed(
            folder / f"{make.__name__}-{version}.npz", images=images, outputs=outputs
        )


if __name__ == "__main__":
    main(sys.argv[1:])

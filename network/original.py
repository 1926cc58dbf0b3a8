"""Build the network of the original, CNNBSL (2021): the convolutional network to begin reading with.

Pang, Liu and Li (IEEE Access 2019) classify with a time-frequency CNN: every candidate direction gets a probability,
and the likeliest is the answer. The teaching version CNNBSL made a regression of it: one linear output in degrees,
squared error, rounded to whole degrees. These are CNNBSL's layers. Its first convolution began with He's initial
weights; here all begin with Glorot's, the default of Keras.
"""
from network.backend import keras


def layers(params):
    """List the layers, for raw radians and dB; shapes are (frequency, frame, channel).

    Parameters
    ----------
    params : Params, for l2, dropout, loss, class_deg and the precision of the layers

    Returns
    -------
    list of keras.layers.Layer: (n, 321, 50, 2) -> (n, 1) degrees; of loss "distribution" (n, 37) probabilities

    """
    dense = {"activation": "relu", "dtype": params.layer_dtype}
    conv = {**dense, "kernel_regularizer": keras.regularizers.L2(params.l2)}
    layer = keras.layers
    return [                                                        # (321, 50, 2) ->
        layer.Conv2D(32, 5, strides=3, **conv), layer.BatchNormalization(),   # (106, 16, 32)
        layer.Conv2D(64, 3, strides=2, **conv), layer.BatchNormalization(),   # (52, 7, 64)
        layer.Conv2D(96, 3, strides=2, **conv), layer.BatchNormalization(),   # (25, 3, 96)
        layer.Conv2D(128, 3, strides=2, **conv), layer.BatchNormalization(),  # (12, 1, 128)
        layer.Flatten(),                                                      # (1536,)
        layer.Dense(1024, **dense),
        layer.Dropout(params.dropout),
        layer.Dense(512, **dense),
        layer.Dense(256, **dense),
        *{"mse": [layer.Dense(1, name="azimuth_deg")],                        # (1,) degrees
          "distribution": [layer.Dense(len(params.class_deg), name="logits"),
                           layer.Softmax(name="distribution")]}[params.loss],  # (37,) probabilities
    ]

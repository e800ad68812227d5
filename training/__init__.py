"""The offline half: one picture of a handwritten digit to a verified bundle.

The story, in the order in which ``pipeline.enrol`` tells it::

    data         the background: other people's digits
    augment      the enrolled picture -> 100 variations of it
    vae, fit     variations -> a variational autoencoder
    synthesize   the autoencoder -> new images; all images -> a labelled training set
    cnn, fit     training set -> a classifier: own, other writer, other
    latent       a map of the latent space, and how far to believe it
    export       networks -> ONNX, checked against torch -> bundle

``evaluate`` measures a recipe on writers that it never saw, ``report`` shows one enrolment in
pictures, ``config`` holds the recipes.

Axes in shapes: ``n`` images, ``h w`` rows and columns, ``z`` latent dimensions, ``k`` classes.
"""

"""The offline half: one picture of a handwritten digit to a verified bundle.

The story, in the order in which ``pipeline.enrol`` tells it::

    data         the background: other people's digits
    augment      the enrolled picture -> 100 variations of it
    vae, fit     variations -> a variational autoencoder
    generator    or, by default: other people's digits -> an autoencoder in the enrolled hand
    synthesize   the autoencoder -> new images; all images -> a labelled training set
    cnn, fit     training set -> a classifier: own, other writer, other
    prototype    or, by default: the base and all images -> a classifier of the same three
    latent       a map of the latent space, and how far to believe it
    screen       which latent points are in doubt
    export       networks -> ONNX (``to_onnx``), checked against torch -> bundle

``attributes`` and ``steer`` measure and bend pictures inside the graphs; ``morphometry`` is the
measuring stick, and ``stroke`` what the graphs learned from it. ``base`` holds the committed
network that ``prototype`` builds on, ``generator`` the one that draws, and each how it came to be;
``muon`` is the optimiser of the base's matrices.

``evaluate`` measures a recipe on writers that it never saw, ``report`` shows one enrolment in
pictures, ``config`` holds the recipes, ``dataset`` draws data sets from a finished bundle.
``perceptron`` is the network in several of the networks, ``weights`` and ``resume`` keep what was
trained, ``side_by_side`` runs what many processes can do.

Axes in shapes: ``n`` images, ``h w`` rows and columns, ``z`` latent dimensions, ``k`` classes.
"""

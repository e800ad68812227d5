"""The offline half: one picture of a handwritten digit to a verified bundle.

Of ``serving`` it uses what both halves share and no more, and a test holds it to that.
docs/architecture.md tells the story; this is the map.

From pictures to a bundle, in the order in which ``pipeline.enrol`` tells it::

    pipeline      the whole story on one screen
    config        what can be chosen: the recipes
    pictures      the pictures of an enrolment, and what is wrong with any of them
    data          the background: other people's digits
    augment       the enrolled picture -> 100 variations of it
    vae           variations -> a variational autoencoder
    generator/    or, by default: everybody's digits -> an autoencoder in the enrolled hand
    synthesize    the autoencoder -> new images; all images -> a labelled training set
    cnn           training set -> a classifier: own, other writer, other
    prototype     or, by default: the base and all images -> a classifier of the same three
    base/         what hundreds of writers teach about telling hands apart
    learned       what these stages make, as values that the stages after them read
    latent/       a map of the latent space, and how far to believe it
    screen        which latent points are in doubt
    export        networks -> graphs, checked against torch -> bundle
    to_onnx       a network as an ONNX file
    graphs/       the default recipe's graphs without their weights, to make that quick

Inside the graphs, beside the networks above::

    attributes    stroke width, slant, width and height of what is drawn
    stroke/       stroke width as the measuring stick has it
    steer         a picture redrawn to order

How networks are trained and kept::

    fit           the one loop of the networks of an enrolment
    muon          the optimiser of the base's matrices
    perceptron    layers in a row, in several networks
    resume        trainings that can be stopped
    average       the running mean of a network's weights
    weights       networks on disk
    archives      arrays in .npz files

What people see of an enrolment::

    showcase      what it shows of itself
    record        pictures and numbers that are remembered
    record_file   the record on disk
    stopwatch     how long the stages take
    report        one HTML page
    charts        arrays to what a page can show

How good it is::

    evaluate/     the writer benchmark: recipes on writers that they never saw
    trials        who is enrolled with what, and who tries to pass for whom
    metrics       figures of verification, with intervals
    probes        does a classifier know a hand, or only how an image was made?
    morphometry   the measuring stick
    capture       what a pen, paper, a camera and a file do to a character, simulated

Beside an enrolment::

    dataset/      labelled data sets of any size, drawn by a finished bundle
    demo          the whole system as a newcomer would drive it
    samples/      the bundled pictures, and the program that drew them

For all of them::

    __main__      ``python -m training``: the verbs
    options       what can be said there
    errors        how training refuses or fails
    shapes        arrays of the type and shape that a value promises
    side_by_side  jobs on as many processes as there are cores

Axes in shapes: ``n`` images, ``h w`` rows and columns, ``z`` latent dimensions, ``k`` classes.
"""

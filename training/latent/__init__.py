"""What the latent space is like, in pictures and in figures that say how far to believe them.

Nothing here takes part in the model.

::

    analyse      all of it, for one enrolment
    layouts      points of many dimensions in the plane, for the eye
    neighbours   how true that is, and how much of the hand the samples reach
    clusters     points in groups
    walks        what the decoder draws along straight lines
    findings     what all of them find, as values
"""

"""A labelled synthetic data set for other people's training, of any size, in constant memory.

The story, in the order in which ``make`` tells it::

    make         from an order to a finished set in its place
    order        what is asked for: whose hand, how many, from which seed, in which format
    split        which pictures are for validation
    artist       the bundle, ready to draw: exactly what the service would draw
    scatter      attributes drawn for each picture alone
    workers      block after block of pictures, drawn here or by other processes, in order
    parts        what passes from drawing to writing, and from writing to the books
    formats      what a block becomes on disk
    idx          MNIST's own files
    npz          numpy archives
    png          one PNG a picture
    growing      files that grow block by block, and can be gone on with
    unfinished   the set while it is being made: kept when stopped, moved into place when whole
    room         will it fit on the disk?
    manifest     what the finished set says of itself
    units        the attributes of its pictures, in words
    errors       how the making refuses or fails

A picture depends on the bundle, the seed and its own row number alone. Blocks are cut the same
way whoever draws them, so the number of processes and interruptions leave no trace in the bytes.
Nothing here needs torch.
"""

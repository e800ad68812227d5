"""The way in which the making of a data set refuses or fails."""

from training.errors import TrainingError


class DatasetError(TrainingError):
    """A data set that cannot be made as asked; the message says what to do."""

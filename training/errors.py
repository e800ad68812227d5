"""The ways in which training refuses or fails; each message says what to do about it."""


class TrainingError(Exception):
    """Base of all errors that training raises on purpose."""


class DataError(TrainingError):
    """A data file that is missing, damaged or of another format."""


class Diverged(TrainingError):
    """A loss that is no longer a finite number."""


class NotSaved(TrainingError):
    """A bundle that cannot be written, for want of room, say; nothing new is in force."""


class ParityError(TrainingError):
    """An exported graph that does not answer as the network that it was made from."""


class WeightsError(TrainingError):
    """Weights or tables of the base that are missing, damaged or of another network."""

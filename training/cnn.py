"""The three-class convolutional network, whole: own digit, another writer's, anything else."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.config import CnnConfig
from training.fit import History, fit, initialise
from training.synthesize import TrainingSet

CLASSES = 3
# The second pooling leaves out the last row and column of what it is given, and so the last two
# of the picture count for nothing; without them the network is a tenth faster.
_SEEN = 26


class Cnn(nn.Module):
    """Three convolutions with two poolings, one dense layer, three logits."""

    def __init__(self, config: CnnConfig) -> None:
        super().__init__()
        first, second, third = config.channels
        self.convolutions = nn.ModuleList(
            [nn.Conv2d(1, first, 3), nn.Conv2d(first, second, 3), nn.Conv2d(second, third, 3)]
        )
        self.dense = nn.Linear(3 * 3 * third, config.dense)
        self.classes = nn.Linear(config.dense, CLASSES)

    def forward(self, pixels: Tensor) -> Tensor:
        """Return logits (n, 3), in the order of ``bundle.LABELS``, for pixels (n, 28, 28)."""
        features = self.feature_maps(pixels[:, :_SEEN, :_SEEN])[-1]  # (n, c, 3, 3)
        logits: Tensor = self.classes(F.relu(self.dense(features.flatten(1))))
        return logits

    def feature_maps(self, pixels: Tensor) -> list[Tensor]:
        """Return what each convolution sees, after ReLU: (n, c, 26, 26), (n, c, 11, 11), ..."""
        maps: list[Tensor] = []
        value = pixels.unsqueeze(1)
        for index, convolution in enumerate(self.convolutions):
            value = F.relu(convolution(F.max_pool2d(value, 2) if index else value))
            maps.append(value)
        return maps


def train_cnn(
    training_set: TrainingSet, config: CnnConfig, chance: torch.Generator
) -> tuple[Cnn, History]:
    """Train with cross-entropy and return the network and its history (loss in nats)."""
    network = Cnn(config)
    initialise(network, chance, glorot=True)

    def objective(cnn: Cnn, batch: Sequence[Tensor]) -> dict[str, Tensor]:
        images, labels = batch
        logits = cnn(images.float() / 255)
        correct = (logits.argmax(dim=1) == labels).float().mean()
        return {"loss": F.cross_entropy(logits, labels), "accuracy": correct}

    tensors = [torch.from_numpy(training_set.images), torch.from_numpy(training_set.labels)]
    history = fit(
        network, objective, tensors, config.fit, chance, order=training_set.order, title="CNN"
    )
    return network, history

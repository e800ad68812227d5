"""Write the default recipe's graphs anew: ``python -m training.graphs``."""

from torch import nn

from serving import bundle
from training.config import FULL
from training.data import load_bundled
from training.export import Graphs, contracts_of, networks_of
from training.pipeline import learn
from training.prototype import PrototypeClassifier
from training.screen import Screen
from training.to_onnx import GRAPHS, export_anew, keep


def default_networks() -> dict[str, tuple[nn.Module, bundle.Graph]]:
    """Return each network of a default enrolment with its contract, by its file's name."""
    background = load_bundled()
    digit, form = int(background.labels[0]), background.images[:1]
    learned = learn(form, digit, FULL, background, seed=0)
    classifier, size = learned.classifier, learned.vae.latent
    screen = Screen(size, FULL.screen)
    # Weights that are no other constant of the graph, or the exporter would make the two one, and
    # that are not zero, or it would leave them out.
    screen.radius.fill_(7.25)
    if isinstance(classifier.network, PrototypeClassifier):
        classifier.network.trust.fill_(0.375)
    gate = bundle.Gate(doubt=0.5, other=FULL.screen.other)
    graphs = Graphs(classifier.graph(), learned.vae, classifier.priors, screen, gate)
    contracts = contracts_of(size)
    return {name: (network, contracts[name]) for name, network in networks_of(graphs).items()}


def main() -> None:
    """Export every network and keep its graph."""
    for name, (network, contract) in default_networks().items():
        keep(export_anew(network, contract, name), set(network.state_dict()), name)
        print(GRAPHS / name)


if __name__ == "__main__":
    main()

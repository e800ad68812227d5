"""The whole story on one screen: from pictures of one hand to a bundle that can be served."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from serving import bundle
from training import base, generator, prototype, record_file, showcase
from training.augment import Variations, augment
from training.cnn import train_cnn
from training.config import PrototypeConfig, Recipe
from training.data import Digits
from training.errors import NotSaved
from training.export import Graphs, Identity, export
from training.fit import History
from training.generator.hand_vae import hand_vae
from training.latent.analyse import analyse
from training.latent.findings import Latent
from training.learned import Classifier, Learned
from training.pictures import read_all
from training.prototype import imprint
from training.record import Record
from training.resume import make_folder
from training.screen import Screened, train_screen
from training.stopwatch import Stopwatch
from training.synthesize import as_forms, compose_training_set, sample_prior
from training.vae import Autoencoder, train_vae

Images = NDArray[np.uint8]


def enrol(
    pictures: Sequence[Path],
    *,
    profile: str,
    digit: int,
    recipe: Recipe,
    background: Digits,
    root: Path,
    seed: int,
) -> Path:
    """Make a bundle from pictures of one writer's digit and return its folder.

    Args:
        pictures: one or more picture files.
        profile: name under which the hand is served.
        digit: what the pictures show, 0 to 9.
        recipe: how to learn.
        background: other people's digits.
        root: folder of all profiles.
        seed: same pictures, seed, recipe and versions give the same bytes on one machine.

    Raises:
        serving.errors.BadImage: names every picture that cannot be used and says why.
        OSError: nothing can be written to ``root``, as is found out before the work.
        training.errors.TrainingError: a stage failed, or the bundle cannot be written after all.
            Whatever is raised, nothing new is in force.
    """
    bundle.check_profile_name(profile)
    read = read_all(pictures, None if recipe.metric is None else digit)
    forms = np.stack([picture.form for picture in read])
    make_folder(root)
    unseen, seen = showcase.hold_out(background, digit, seed)
    stopwatch = Stopwatch()
    learned = learn(forms, digit, recipe, seen, seed, stopwatch)
    with stopwatch.time("latent"):
        latent = analyse(
            learned.vae, forms, learned.variations.images, learned.samples, recipe.latent
        )
    with stopwatch.time("screen"):
        screened = learn_screen(learned, seed)
    with stopwatch.time("export"):
        identity = _identity(learned, latent, screened, profile, digit, seed)
        manifest, contents = _export(learned, screened, identity, seed)
    greys = [picture.grey for picture in read]
    kept = showcase.collect(learned, latent, stopwatch.seconds, greys, unseen, digit)
    return _save(manifest, contents, kept, root)


def learn(
    forms: Images,
    digit: int,
    recipe: Recipe,
    background: Digits,
    seed: int,
    stopwatch: Stopwatch | None = None,
) -> Learned:
    """Run the stages from MNIST forms (k, 28, 28) to a trained classifier."""
    random = np.random.default_rng(seed)
    chance = torch.Generator().manual_seed(seed)
    stopwatch = stopwatch or Stopwatch()
    with stopwatch.time("augment"):
        variations = augment(forms, recipe.augment, random)
    with stopwatch.time("VAE"):
        vae, vae_history = _autoencoder(forms, variations, digit, recipe, chance)
    with stopwatch.time("synthesize"):
        samples = sample_prior(vae, recipe.training_set.samples, chance)
    if recipe.metric is not None:
        with stopwatch.time("prototype"):
            classifier = _on_base(forms, variations.images, samples, digit, recipe.metric)
    else:
        with stopwatch.time("training set"):
            training_set = compose_training_set(
                variations,
                samples,
                background,
                digit,
                vae,
                recipe.augment,
                recipe.training_set,
                random,
                chance,
            )
        with stopwatch.time("CNN"):
            cnn, history = train_cnn(training_set, recipe.cnn, chance)
            classifier = Classifier(cnn, training_set.priors(), training_set, history)
    return Learned(recipe, forms, variations, vae, vae_history, samples, classifier)


def _autoencoder(
    forms: Images, variations: Variations, digit: int, recipe: Recipe, chance: torch.Generator
) -> tuple[Autoencoder, History]:
    if recipe.hand is None:
        return train_vae(variations.images, recipe.vae, chance)
    return hand_vae(generator.load(), digit, forms, recipe.hand), {}


def _on_base(
    forms: Images, variations: Images, samples: Images, digit: int, config: PrototypeConfig
) -> Classifier:
    images = {"forms": forms, "variations": variations, "samples": as_forms(samples)}
    return Classifier(imprint(base.load(), digit, images, config), prototype.PRIORS)


def learn_screen(learned: Learned, seed: int) -> Screened:
    """Return the guess at which points' pictures the hand's classifier refuses."""
    graph = learned.classifier.graph()
    chance = torch.Generator().manual_seed(seed)
    return train_screen(learned.vae, lambda images: graph(images)[0], learned.recipe.screen, chance)


def _export(
    learned: Learned, screened: Screened, identity: Identity, seed: int
) -> tuple[bundle.Manifest, dict[str, bytes]]:
    classifier = learned.classifier
    graphs = Graphs(
        classifier.graph(), learned.vae, classifier.priors, screened.screen, screened.gate
    )
    stacks = [learned.forms, learned.variations.images[::9], learned.samples[::9]]
    return export(graphs, identity, np.concatenate(stacks), seed)


def _identity(
    learned: Learned,
    latent: Latent,
    screened: Screened,
    profile: str,
    digit: int,
    seed: int,
) -> Identity:
    recipe, classifier = learned.recipe, learned.classifier
    metrics = {
        "trustworthiness": bundle.Metric(
            latent.trustworthiness, len(latent.means), "of the map of the latent space, 0 to 1"
        ),
        "refused": bundle.Metric(
            screened.refused,
            screened.checked,
            "share of the prior's pictures that the classifier refuses",
        ),
        "doubted": bundle.Metric(
            screened.doubted,
            screened.checked,
            "share of the prior's points that are in doubt, so that others are taken",
        ),
    }
    if classifier.training_set is not None:
        metrics["training_accuracy"] = bundle.Metric(
            classifier.history["accuracy"][-1],
            len(classifier.training_set.labels),
            "share of training images named right",
        )
    return Identity(
        profile=profile,
        digit=digit,
        enrolment=bundle.Enrolment(len(learned.forms), recipe.name, seed, recipe.sha256()),
        metrics=metrics,
    )


def _save(
    manifest: bundle.Manifest, contents: Mapping[str, bytes], kept: Record, root: Path
) -> Path:
    """Write the bundle and its record, and return the folder.

    At one go: nothing may come into force of which it is then said that it failed.
    """
    home = root / manifest.profile
    try:
        return bundle.save(manifest, contents, root, record_file.encode(kept))
    except OSError as error:
        raise NotSaved(
            f"{home}: the bundle cannot be written: {error.strerror}; nothing new is in force: see "
            "to that, or choose another --out"
        ) from error

"""Arrays to what a page can show: pictures as data URIs, curves and maps as places in an SVG.

Nothing is read or written here, and nothing is coloured for good: strokes and text take their
colours from the page, light or dark. Only the inks of the clusters and the heat of the feature
maps are fixed. Equal arrays give equal text.
"""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from serving.images import encode_png
from training.latent.findings import ACTIVE, Floats, Images, Latent, Layout, Strip
from training.record import History

# The curve lies between these edges of a 360 x 190 drawing: left, top, right, bottom.
_PLOT = (44.0, 12.0, 348.0, 160.0)
# The map is 800 wide and 540 high, with room for half a thumbnail at the edge.
_MAP_SIZE, _MAP_MARGIN = (800.0, 540.0), 26.0
_PLOT_SIZE, _PLOT_MARGIN = (300.0, 200.0), 10.0
# The bars of the units' variances: their drawing, and the variance at its foot.
_UNITS_SIZE, _LEAST = (720.0, 120.0), 1e-4

_UNITS = {"accuracy": "share of right answers"}
_KINDS = ("form", "variation", "sample")
_SYMBOLS = {"slant": "°"}

# Middle tones, legible on white and on black alike.
_CLUSTER_COLOURS = (
    *("#4a7fc1", "#e07b28", "#2f9e77", "#d1495b", "#8e6fc7"),
    *("#b8860b", "#d166a5", "#2f9bb5", "#7a9a35", "#8a8178"),
)
# Dark to bright, in equal steps of lightness; after the "magma" map of Smith and van der Walt.
_HEAT = np.array(
    [[8, 6, 24], [80, 18, 123], [182, 55, 122], [251, 136, 97], [252, 253, 191]], np.float64
)


@dataclass(frozen=True)
class Tile:
    """One small picture of a grid, with what hovering over it tells."""

    uri: str
    title: str
    width: int


@dataclass(frozen=True)
class Layer:
    """The feature maps of one convolution."""

    height: int
    width: int
    tiles: tuple[Tile, ...]


@dataclass(frozen=True)
class Panel:
    """One curve over epochs, in coordinates of its SVG; ticks are (position, text)."""

    title: str
    unit: str
    first: str
    last: str
    points: str
    end: tuple[float, float]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]


@dataclass(frozen=True)
class Spread:
    """How one augmentation parameter was drawn; bars are heights from 0 to 1."""

    name: str
    low: float
    median: float
    high: float
    bars: tuple[float, ...]


@dataclass(frozen=True)
class Point:
    """One image on a map; its kind is form, variation or sample."""

    uri: str
    kind: str
    x: float
    y: float
    title: str


@dataclass(frozen=True)
class Cluster:
    """One K-means cluster: its number on the map and its most central member."""

    number: int
    colour: str
    size: int
    uri: str
    x: float
    y: float


@dataclass(frozen=True)
class Plot:
    """One layout as a plot of dots; each is (kind, x, y)."""

    layout: Layout
    chosen: bool
    dots: tuple[tuple[str, float, float], ...]


@dataclass(frozen=True)
class Map:
    """The chosen layout in pictures, the others beside it, and in words how far to believe it.

    ``silhouettes`` are (number of clusters, silhouette, whether it decided).
    """

    name: str
    points: tuple[Point, ...]
    clusters: tuple[Cluster, ...]
    plots: tuple[Plot, ...]
    silhouettes: tuple[tuple[int, float, bool], ...]
    neighbours: int
    belief: str
    structure: str


@dataclass(frozen=True)
class Units:
    """How much each unit is used, the most used first; bars are (x, width, y, height, title)."""

    active: int
    total: int
    bars: tuple[tuple[float, float, float, float, str], ...]
    threshold: float


@dataclass(frozen=True)
class Walk:
    """A strip, with what to write below each frame."""

    name: str
    score: float
    tiles: tuple[Tile, ...]
    captions: tuple[str, ...]


def data_uri(data: bytes, kind: str = "png") -> str:
    """Return an image file as an address that holds it."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def photo(picture: Images) -> Tile:
    """Return an enrolment picture as PNG or JPEG, whichever is smaller."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="JPEG", quality=88)
    png, jpeg = encode_png(picture), buffer.getvalue()
    uri = data_uri(png) if len(png) <= len(jpeg) else data_uri(jpeg, "jpeg")
    return Tile(uri, "enrolment picture", picture.shape[1])


def tiles(
    images: Images, noun: str, parameters: Sequence[Mapping[str, float]] = ()
) -> tuple[Tile, ...]:
    """Return one tile for each image of (n, 28, 28), titled with what was drawn for it."""
    drawn = parameters or [{}] * len(images)
    return tuple(
        Tile(data_uri(encode_png(image)), _title(f"{noun} {number}", values), 56)
        for number, (image, values) in enumerate(zip(images, drawn, strict=True), start=1)
    )


def _title(name: str, parameters: Mapping[str, float]) -> str:
    told = ", ".join(f"{_spell(key)} {figure(value)}" for key, value in parameters.items())
    return f"{name}: {told}" if told else name


def layer(maps: Floats) -> Layer:
    """Return the maps (c, h, w) of one convolution in colours of one common scale."""
    _, height, width = maps.shape
    low, high = float(maps.min()), float(maps.max())
    scaled = (maps - low) / max(high - low, 1e-12) * (len(_HEAT) - 1)
    steps = np.arange(len(_HEAT))
    colours = np.stack([np.interp(scaled, steps, channel) for channel in _HEAT.T], axis=-1)
    side = width * max(1, 112 // width)
    pictures = tuple(
        Tile(data_uri(_colour_png(np.rint(image).astype(np.uint8))), f"map {number}", side)
        for number, image in enumerate(colours, start=1)
    )
    return Layer(height, width, pictures)


def _ink(image: Images, colour: str) -> str:
    """Return the image as ink of this colour, at full strength, on transparent ground."""
    tinted = np.zeros((*image.shape, 4), dtype=np.uint8)
    tinted[image > 0, :3] = tuple(bytes.fromhex(colour.removeprefix("#")))
    tinted[..., 3] = np.rint(image * (255 / max(int(image.max()), 1)))
    return data_uri(_colour_png(tinted))


def _colour_png(image: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG")
    return buffer.getvalue()


def panels(history: History) -> tuple[Panel, ...]:
    """Return one curve for each quantity of a training history."""
    return tuple(_panel(name, values) for name, values in history.items() if values)


def _panel(name: str, values: Sequence[float]) -> Panel:
    left, top, right, bottom = _PLOT
    low, high = min(values), max(values)
    pad = (high - low) * 0.06 or max(abs(high), 1.0) * 0.05
    low, high = low - pad, high + pad

    def across(epoch: float) -> float:
        return round(left + (right - left) * (epoch - 1) / max(len(values) - 1, 1), 1)

    def down(value: float) -> float:
        return round(bottom - (bottom - top) * (value - low) / (high - low), 1)

    spots = [(across(epoch), down(value)) for epoch, value in enumerate(values, start=1)]
    return Panel(
        title=_spell(name),
        unit=_UNITS.get(name, "nats an image"),
        first=figure(values[0]),
        last=figure(values[-1]),
        points=" ".join(f"{x},{y}" for x, y in spots),
        end=spots[-1],
        x_ticks=tuple((across(e), str(e)) for e in sorted({1, len(values)})),
        y_ticks=tuple((down(tick), f"{tick:g}") for tick in _ticks(low, high)),
    )


def _ticks(low: float, high: float) -> tuple[float, ...]:
    """Return three to six round numbers between ``low`` and ``high``."""
    magnitude = 10.0 ** np.floor(np.log10((high - low) / 3))
    step = next(s * magnitude for s in (5, 2, 1) if s * magnitude <= (high - low) / 3)
    numbers = np.arange(np.ceil(low / step), np.floor(high / step) + 1)
    return tuple(float(f"{number * step:.6g}") + 0.0 for number in numbers)


def spreads(parameters: Sequence[Mapping[str, float]]) -> tuple[Spread, ...]:
    """Return how each parameter was drawn, in the order in which they first appear."""
    names = dict.fromkeys(name for drawn in parameters for name in drawn)
    return tuple(
        _spread(name, np.array([drawn[name] for drawn in parameters if name in drawn], np.float64))
        for name in names
    )


def _spread(name: str, values: NDArray[np.float64]) -> Spread:
    counts, _ = np.histogram(values, bins=16)
    low, median, high = (float(v) for v in np.quantile(values, [0, 0.5, 1]))
    return Spread(_spell(name), low, median, high, tuple((counts / counts.max()).tolist()))


def latent_map(latent: Latent, stacks: Sequence[Images]) -> Map:
    """Return the map with its images as inked thumbnails at their places.

    Args:
        latent: what is to be drawn.
        stacks: forms, variations and samples, each (n, 28, 28).
    """
    shown = tuple(stack[:count] for stack, count in zip(stacks, latent.counts, strict=True))
    images = np.concatenate(shown)
    named = [
        (kind, i) for kind, stack in zip(_KINDS, shown, strict=True) for i in range(len(stack))
    ]
    layout = latent.layouts[latent.chosen]
    spots = _lay_out(layout.places, _MAP_SIZE, _MAP_MARGIN)
    points = tuple(
        Point(
            uri=_ink(image, _CLUSTER_COLOURS[cluster % len(_CLUSTER_COLOURS)]),
            kind=kind,
            x=x,
            y=y,
            title=f"{kind} {index + 1}, cluster {cluster + 1}",
        )
        for image, (kind, index), (x, y), cluster in zip(
            images, named, spots.tolist(), latent.clusters.tolist(), strict=True
        )
    )
    best = max(latent.silhouettes, default=0.0)
    taken = latent.silhouettes.index(best) + 2 if latent.silhouettes else 1
    return Map(
        name=layout.name,
        points=points,
        clusters=_clusters(latent, images, spots),
        plots=tuple(
            _plot(each, index == latent.chosen, [kind for kind, _ in named])
            for index, each in enumerate(latent.layouts)
        ),
        silhouettes=tuple(
            (count, score, count == taken)
            for count, score in enumerate(latent.silhouettes, start=2)
        ),
        neighbours=latent.neighbours,
        belief=_belief(layout.trustworthiness),
        structure=_structure(best),
    )


def _plot(layout: Layout, chosen: bool, kinds: Sequence[str]) -> Plot:
    spots = _lay_out(layout.places, _PLOT_SIZE, _PLOT_MARGIN).tolist()
    return Plot(layout, chosen, tuple((k, x, y) for k, (x, y) in zip(kinds, spots, strict=True)))


def _lay_out(places: Floats, size: tuple[float, float], margin: float) -> NDArray[np.float64]:
    """Return places (n, 2) in coordinates of a drawing, stretched to fill it."""
    spots = places.astype(np.float64)
    low, extent = spots.min(axis=0), np.maximum(np.ptp(spots, axis=0), 1e-12)
    room = np.array(size) - 2 * margin
    placed: NDArray[np.float64] = np.round(margin + (spots - low) / extent * room, 1)
    return placed


def _clusters(latent: Latent, images: Images, spots: NDArray[np.float64]) -> tuple[Cluster, ...]:
    clusters = []
    for number in np.unique(latent.clusters).tolist():
        members = np.flatnonzero(latent.clusters == number)
        centre = latent.means[members].mean(axis=0)
        distances = np.square(latent.means[members] - centre).sum(axis=1)
        middle = int(members[np.argmin(distances)])
        colour = _CLUSTER_COLOURS[number % len(_CLUSTER_COLOURS)]
        x, y = spots[middle].tolist()
        uri = _ink(images[middle], colour)
        clusters.append(Cluster(number + 1, colour, len(members), uri, x, y))
    return tuple(clusters)


def units(latent: Latent) -> Units:
    """Return the units' variances as bars on a logarithmic scale."""
    width, height = _UNITS_SIZE
    order = np.argsort(-latent.variances, kind="stable")
    top = max(float(latent.variances.max(initial=0)), 1.0)

    def tall(variance: float) -> float:
        share = np.log10(max(variance, _LEAST) / _LEAST) / np.log10(top / _LEAST)
        return round(float(share) * height, 1)

    step = width / max(len(order), 1)
    bars = tuple(
        (
            round(place * step, 2),
            round(step * 0.8, 2),
            round(height - tall(variance), 1),
            tall(variance),
            f"unit {unit + 1}: variance {figure(variance)}",
        )
        for place, (unit, variance) in enumerate(
            zip(order.tolist(), latent.variances[order].tolist(), strict=True)
        )
    )
    return Units(latent.active, len(order), bars, height - tall(ACTIVE))


def traversal(strip: Strip) -> Walk:
    """Return a walk along one unit, captioned with the place in standard deviations."""
    return _walk(strip, [f"{value:+.0f}" if value else "0" for value in strip.values])


def direction(strip: Strip) -> Walk:
    """Return a walk along an attribute, captioned with what each picture measures."""
    symbol = _SYMBOLS.get(strip.name, " px")
    return _walk(strip, [f"{value:.1f}{symbol}" for value in strip.values])


def interpolation(strip: Strip) -> Walk:
    """Return a walk from one picture to another, captioned with the share of the way."""
    return _walk(strip, [f"{value:.0%}".replace("%", " %") for value in strip.values])


def _walk(strip: Strip, captions: Sequence[str]) -> Walk:
    told = tuple(caption.replace("-", "\N{MINUS SIGN}") for caption in captions)
    pictures = tuple(
        Tile(data_uri(encode_png(frame)), f"{strip.name}: {caption}", 56)
        for frame, caption in zip(strip.frames, told, strict=True)
    )
    return Walk(strip.name, strip.score, pictures, told)


def _belief(trustworthiness: float) -> str:
    """Say how far to believe a map; a random one scores about 0.5."""
    if trustworthiness >= 0.95:
        return "Believe it locally: images side by side here are nearly always alike to the VAE."
    if trustworthiness >= 0.85:
        return "Believe it mostly: most neighbours are true ones, some are put together by the map."
    if trustworthiness >= 0.7:
        return "Be careful: many images side by side here are not alike to the VAE."
    return "Do not believe it: the map is little better than points thrown at random."


def _structure(silhouette: float) -> str:
    """Say what a silhouette is worth; after Kaufman and Rousseeuw (1990), table 4."""
    if silhouette > 0.7:
        return "The groups are distinct."
    if silhouette > 0.5:
        return "The groups are real, if not far apart."
    if silhouette > 0.25:
        return "The groups are weak: their borders are drawn through images that are much alike."
    return "There are no groups: this is one cloud, and the colours only divide it."


def _spell(name: str) -> str:
    return name.replace("_", " ")


def figure(value: float) -> str:
    """Return three significant digits, with a true minus sign."""
    text = f"{value:.3g}" if abs(value) < 999.5 else f"{value:,.0f}"
    return text.replace("e-0", "e-").replace("-", "\N{MINUS SIGN}")

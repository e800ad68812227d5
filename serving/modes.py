"""The modes of GenerateVariants: what each may ask for, which pictures it needs, and its plan."""

from collections.abc import Iterator

from serving.limits import Limits
from serving.model import Posterior
from serving.pb import handwriting_pb2 as pb
from serving.plans import Along, Around, Between, InStyle, Plan, Prior
from serving.steering import NAMES, Range, Target

__all__ = ["pictures", "plan", "violations"]


def pictures(request: pb.GenerateVariantsRequest) -> list[tuple[str, pb.Image]]:
    """Return the pictures that the request starts from, each with its field."""
    match request.WhichOneof("mode"):
        case "around":
            return [("around.image", request.around.image)]
        case "between":
            between = request.between
            return [("between.first", between.first), ("between.second", between.second)]
        case "attributes" if request.attributes.WhichOneof("base") == "around":
            return [("attributes.around.image", request.attributes.around.image)]
        case "style":
            return [("style.image", request.style.image)]
        case _:
            return []


def plan(request: pb.GenerateVariantsRequest, seed: int, given: Posterior | None) -> Plan:
    """Return where the pictures of a request without violations lie.

    Args:
        request: whose mode it is.
        seed: of the noise.
        given: where ``pictures`` lie; ``None`` if there are none.
    """
    match request.WhichOneof("mode"), given:
        case "between", Posterior():
            return Between.straight(given, request.count)
        case "style", Posterior():
            style = request.style
            strength = style.strength if style.HasField("strength") else 1.0
            return InStyle(given, strength, style.temperature, seed)
        case "attributes", _:
            base = _base(request.attributes, seed, given)
            return Along(base, dict(_targets(request.attributes)), request.count)
        case _:
            return _base(request, seed, given)


def violations(request: pb.GenerateVariantsRequest, limits: Limits) -> list[tuple[str, str]]:
    """Return what the mode asks for and may not, as pairs of field and problem."""
    found = [
        (field, f"expected {bounds.least:g} to {bounds.most:g}, found {_told(value, bounds)}")
        for field, value, bounds in _numbers(request, limits)
        if not bounds.least <= value <= bounds.most  # NaN too
    ]
    if request.WhichOneof("mode") == "attributes":
        found += _unclear(request.attributes)
    return found


def _told(value: float, bounds: Range) -> str:
    """Return a number out of bounds in so many digits, six or more, that it is out of them."""
    for digits in range(6, 17):
        text = f"{value:.{digits}g}"
        if not bounds.least <= float(text) <= bounds.most:  # NaN too
            return text
    return repr(value)


def _base(
    holder: pb.GenerateVariantsRequest | pb.AlongAttributes,
    seed: int,
    given: Posterior | None,
) -> Prior | Around:
    """Return the plan of a message that has the fields ``prior`` and ``around``."""
    if given is not None:
        around = holder.around
        return Around(given, around.strength if around.HasField("strength") else 1.0, seed)
    prior = holder.prior
    return Prior(prior.temperature if prior.HasField("temperature") else 1.0, seed)


def _targets(along: pb.AlongAttributes) -> Iterator[tuple[str, Target]]:
    for name in _asked(along):
        target: pb.Target = getattr(along, name)
        is_change = target.WhichOneof("goal") == "delta"
        first = target.delta if is_change else target.value
        yield name, Target(first, target.until if target.HasField("until") else first, is_change)


def _asked(along: pb.AlongAttributes) -> list[str]:
    return [name for name in NAMES if along.HasField(name)]


def _numbers(
    request: pb.GenerateVariantsRequest, limits: Limits
) -> Iterator[tuple[str, float, Range]]:
    """Yield each number of the mode, with its field and its bounds."""
    temperatures, strengths = Range(0, limits.max_temperature), Range(0, limits.max_strength)
    for path, holder in (("", request), ("attributes.", request.attributes)):
        yield f"{path}prior.temperature", holder.prior.temperature, temperatures
        yield f"{path}around.strength", holder.around.strength, strengths
    yield "style.strength", request.style.strength, Range(0, limits.max_style_strength)
    yield "style.temperature", request.style.temperature, temperatures
    for name in _asked(request.attributes):
        target: pb.Target = getattr(request.attributes, name)
        values = limits.attributes[name]
        changes = Range(values.least - values.most, values.most - values.least)
        goal = target.WhichOneof("goal")
        bounds = changes if goal == "delta" else values
        if goal:
            yield f"attributes.{name}.{goal}", getattr(target, goal), bounds
        if target.HasField("until"):
            yield f"attributes.{name}.until", target.until, bounds


def _unclear(along: pb.AlongAttributes) -> list[tuple[str, str]]:
    """Return what is asked for too vaguely to be drawn."""
    asked = _asked(along)
    if not asked:
        return [("attributes", f"expected at least one of {', '.join(NAMES)}, found none")]
    return [
        (f"attributes.{name}", "expected value or delta, found neither")
        for name in asked
        if getattr(along, name).WhichOneof("goal") is None
    ]

from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Label(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LABEL_UNSPECIFIED: _ClassVar[Label]
    LABEL_OWN: _ClassVar[Label]
    LABEL_OTHER_WRITER: _ClassVar[Label]
    LABEL_OTHER: _ClassVar[Label]

class ImageFormat(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    IMAGE_FORMAT_UNSPECIFIED: _ClassVar[ImageFormat]
    IMAGE_FORMAT_PNG: _ClassVar[ImageFormat]
    IMAGE_FORMAT_RAW: _ClassVar[ImageFormat]
LABEL_UNSPECIFIED: Label
LABEL_OWN: Label
LABEL_OTHER_WRITER: Label
LABEL_OTHER: Label
IMAGE_FORMAT_UNSPECIFIED: ImageFormat
IMAGE_FORMAT_PNG: ImageFormat
IMAGE_FORMAT_RAW: ImageFormat

class Image(_message.Message):
    __slots__ = ("encoded", "pixels")
    ENCODED_FIELD_NUMBER: _ClassVar[int]
    PIXELS_FIELD_NUMBER: _ClassVar[int]
    encoded: bytes
    pixels: Pixels
    def __init__(self, encoded: _Optional[bytes] = ..., pixels: _Optional[_Union[Pixels, _Mapping]] = ...) -> None: ...

class Pixels(_message.Message):
    __slots__ = ("data", "height", "width")
    DATA_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    height: int
    width: int
    def __init__(self, data: _Optional[bytes] = ..., height: _Optional[int] = ..., width: _Optional[int] = ...) -> None: ...

class ClassifyRequest(_message.Message):
    __slots__ = ("profile", "images")
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    profile: str
    images: _containers.RepeatedCompositeFieldContainer[Image]
    def __init__(self, profile: _Optional[str] = ..., images: _Optional[_Iterable[_Union[Image, _Mapping]]] = ...) -> None: ...

class Verdict(_message.Message):
    __slots__ = ("label", "own", "other_writer", "other", "llr")
    LABEL_FIELD_NUMBER: _ClassVar[int]
    OWN_FIELD_NUMBER: _ClassVar[int]
    OTHER_WRITER_FIELD_NUMBER: _ClassVar[int]
    OTHER_FIELD_NUMBER: _ClassVar[int]
    LLR_FIELD_NUMBER: _ClassVar[int]
    label: Label
    own: float
    other_writer: float
    other: float
    llr: float
    def __init__(self, label: _Optional[_Union[Label, str]] = ..., own: _Optional[float] = ..., other_writer: _Optional[float] = ..., other: _Optional[float] = ..., llr: _Optional[float] = ...) -> None: ...

class ClassifyResponse(_message.Message):
    __slots__ = ("profile", "version", "results", "fused", "digest")
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    FUSED_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    profile: str
    version: str
    results: _containers.RepeatedCompositeFieldContainer[Verdict]
    fused: Verdict
    digest: str
    def __init__(self, profile: _Optional[str] = ..., version: _Optional[str] = ..., results: _Optional[_Iterable[_Union[Verdict, _Mapping]]] = ..., fused: _Optional[_Union[Verdict, _Mapping]] = ..., digest: _Optional[str] = ...) -> None: ...

class FromPrior(_message.Message):
    __slots__ = ("temperature",)
    TEMPERATURE_FIELD_NUMBER: _ClassVar[int]
    temperature: float
    def __init__(self, temperature: _Optional[float] = ...) -> None: ...

class AroundImage(_message.Message):
    __slots__ = ("image", "strength")
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    STRENGTH_FIELD_NUMBER: _ClassVar[int]
    image: Image
    strength: float
    def __init__(self, image: _Optional[_Union[Image, _Mapping]] = ..., strength: _Optional[float] = ...) -> None: ...

class BetweenImages(_message.Message):
    __slots__ = ("first", "second")
    FIRST_FIELD_NUMBER: _ClassVar[int]
    SECOND_FIELD_NUMBER: _ClassVar[int]
    first: Image
    second: Image
    def __init__(self, first: _Optional[_Union[Image, _Mapping]] = ..., second: _Optional[_Union[Image, _Mapping]] = ...) -> None: ...

class Target(_message.Message):
    __slots__ = ("value", "delta", "until")
    VALUE_FIELD_NUMBER: _ClassVar[int]
    DELTA_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    value: float
    delta: float
    until: float
    def __init__(self, value: _Optional[float] = ..., delta: _Optional[float] = ..., until: _Optional[float] = ...) -> None: ...

class AlongAttributes(_message.Message):
    __slots__ = ("thickness", "slant", "rotation", "width", "height", "prior", "around")
    THICKNESS_FIELD_NUMBER: _ClassVar[int]
    SLANT_FIELD_NUMBER: _ClassVar[int]
    ROTATION_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    PRIOR_FIELD_NUMBER: _ClassVar[int]
    AROUND_FIELD_NUMBER: _ClassVar[int]
    thickness: Target
    slant: Target
    rotation: Target
    width: Target
    height: Target
    prior: FromPrior
    around: AroundImage
    def __init__(self, thickness: _Optional[_Union[Target, _Mapping]] = ..., slant: _Optional[_Union[Target, _Mapping]] = ..., rotation: _Optional[_Union[Target, _Mapping]] = ..., width: _Optional[_Union[Target, _Mapping]] = ..., height: _Optional[_Union[Target, _Mapping]] = ..., prior: _Optional[_Union[FromPrior, _Mapping]] = ..., around: _Optional[_Union[AroundImage, _Mapping]] = ...) -> None: ...

class StyleTransfer(_message.Message):
    __slots__ = ("image", "strength", "temperature")
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    STRENGTH_FIELD_NUMBER: _ClassVar[int]
    TEMPERATURE_FIELD_NUMBER: _ClassVar[int]
    image: Image
    strength: float
    temperature: float
    def __init__(self, image: _Optional[_Union[Image, _Mapping]] = ..., strength: _Optional[float] = ..., temperature: _Optional[float] = ...) -> None: ...

class GenerateVariantsRequest(_message.Message):
    __slots__ = ("profile", "count", "seed", "prior", "around", "between", "attributes", "style", "format")
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    PRIOR_FIELD_NUMBER: _ClassVar[int]
    AROUND_FIELD_NUMBER: _ClassVar[int]
    BETWEEN_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    STYLE_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    profile: str
    count: int
    seed: int
    prior: FromPrior
    around: AroundImage
    between: BetweenImages
    attributes: AlongAttributes
    style: StyleTransfer
    format: ImageFormat
    def __init__(self, profile: _Optional[str] = ..., count: _Optional[int] = ..., seed: _Optional[int] = ..., prior: _Optional[_Union[FromPrior, _Mapping]] = ..., around: _Optional[_Union[AroundImage, _Mapping]] = ..., between: _Optional[_Union[BetweenImages, _Mapping]] = ..., attributes: _Optional[_Union[AlongAttributes, _Mapping]] = ..., style: _Optional[_Union[StyleTransfer, _Mapping]] = ..., format: _Optional[_Union[ImageFormat, str]] = ...) -> None: ...

class Latent(_message.Message):
    __slots__ = ("values",)
    VALUES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, values: _Optional[_Iterable[float]] = ...) -> None: ...

class Attributes(_message.Message):
    __slots__ = ("thickness", "slant", "rotation", "width", "height")
    THICKNESS_FIELD_NUMBER: _ClassVar[int]
    SLANT_FIELD_NUMBER: _ClassVar[int]
    ROTATION_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    thickness: float
    slant: float
    rotation: float
    width: float
    height: float
    def __init__(self, thickness: _Optional[float] = ..., slant: _Optional[float] = ..., rotation: _Optional[float] = ..., width: _Optional[float] = ..., height: _Optional[float] = ...) -> None: ...

class GenerateVariantsResponse(_message.Message):
    __slots__ = ("images", "latents", "profile", "version", "seed", "digest", "attributes", "redrawn")
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    LATENTS_FIELD_NUMBER: _ClassVar[int]
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    REDRAWN_FIELD_NUMBER: _ClassVar[int]
    images: _containers.RepeatedScalarFieldContainer[bytes]
    latents: _containers.RepeatedCompositeFieldContainer[Latent]
    profile: str
    version: str
    seed: int
    digest: str
    attributes: _containers.RepeatedCompositeFieldContainer[Attributes]
    redrawn: int
    def __init__(self, images: _Optional[_Iterable[bytes]] = ..., latents: _Optional[_Iterable[_Union[Latent, _Mapping]]] = ..., profile: _Optional[str] = ..., version: _Optional[str] = ..., seed: _Optional[int] = ..., digest: _Optional[str] = ..., attributes: _Optional[_Iterable[_Union[Attributes, _Mapping]]] = ..., redrawn: _Optional[int] = ...) -> None: ...

class ListProfilesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListProfilesResponse(_message.Message):
    __slots__ = ("profiles",)
    PROFILES_FIELD_NUMBER: _ClassVar[int]
    profiles: _containers.RepeatedCompositeFieldContainer[Profile]
    def __init__(self, profiles: _Optional[_Iterable[_Union[Profile, _Mapping]]] = ...) -> None: ...

class GetProfileRequest(_message.Message):
    __slots__ = ("profile",)
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    profile: str
    def __init__(self, profile: _Optional[str] = ...) -> None: ...

class GetProfileResponse(_message.Message):
    __slots__ = ("profile", "limits")
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    profile: Profile
    limits: Limits
    def __init__(self, profile: _Optional[_Union[Profile, _Mapping]] = ..., limits: _Optional[_Union[Limits, _Mapping]] = ...) -> None: ...

class Profile(_message.Message):
    __slots__ = ("name", "version", "digit", "digest", "created_unix", "recipe", "enrolment_images", "latent_size", "metrics")
    class MetricsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    DIGIT_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    CREATED_UNIX_FIELD_NUMBER: _ClassVar[int]
    RECIPE_FIELD_NUMBER: _ClassVar[int]
    ENROLMENT_IMAGES_FIELD_NUMBER: _ClassVar[int]
    LATENT_SIZE_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    digit: int
    digest: str
    created_unix: int
    recipe: str
    enrolment_images: int
    latent_size: int
    metrics: _containers.ScalarMap[str, float]
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., digit: _Optional[int] = ..., digest: _Optional[str] = ..., created_unix: _Optional[int] = ..., recipe: _Optional[str] = ..., enrolment_images: _Optional[int] = ..., latent_size: _Optional[int] = ..., metrics: _Optional[_Mapping[str, float]] = ...) -> None: ...

class Range(_message.Message):
    __slots__ = ("least", "most")
    LEAST_FIELD_NUMBER: _ClassVar[int]
    MOST_FIELD_NUMBER: _ClassVar[int]
    least: float
    most: float
    def __init__(self, least: _Optional[float] = ..., most: _Optional[float] = ...) -> None: ...

class Limits(_message.Message):
    __slots__ = ("max_images", "max_encoded_bytes", "max_pixels", "min_side", "max_count", "max_temperature", "max_strength", "max_message_bytes", "max_style_strength", "thickness", "slant", "rotation", "width", "height")
    MAX_IMAGES_FIELD_NUMBER: _ClassVar[int]
    MAX_ENCODED_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_PIXELS_FIELD_NUMBER: _ClassVar[int]
    MIN_SIDE_FIELD_NUMBER: _ClassVar[int]
    MAX_COUNT_FIELD_NUMBER: _ClassVar[int]
    MAX_TEMPERATURE_FIELD_NUMBER: _ClassVar[int]
    MAX_STRENGTH_FIELD_NUMBER: _ClassVar[int]
    MAX_MESSAGE_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_STYLE_STRENGTH_FIELD_NUMBER: _ClassVar[int]
    THICKNESS_FIELD_NUMBER: _ClassVar[int]
    SLANT_FIELD_NUMBER: _ClassVar[int]
    ROTATION_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    max_images: int
    max_encoded_bytes: int
    max_pixels: int
    min_side: int
    max_count: int
    max_temperature: float
    max_strength: float
    max_message_bytes: int
    max_style_strength: float
    thickness: Range
    slant: Range
    rotation: Range
    width: Range
    height: Range
    def __init__(self, max_images: _Optional[int] = ..., max_encoded_bytes: _Optional[int] = ..., max_pixels: _Optional[int] = ..., min_side: _Optional[int] = ..., max_count: _Optional[int] = ..., max_temperature: _Optional[float] = ..., max_strength: _Optional[float] = ..., max_message_bytes: _Optional[int] = ..., max_style_strength: _Optional[float] = ..., thickness: _Optional[_Union[Range, _Mapping]] = ..., slant: _Optional[_Union[Range, _Mapping]] = ..., rotation: _Optional[_Union[Range, _Mapping]] = ..., width: _Optional[_Union[Range, _Mapping]] = ..., height: _Optional[_Union[Range, _Mapping]] = ...) -> None: ...

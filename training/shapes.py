"""Arrays of the type and shape that a value promises."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def expect(
    name: str, array: NDArray[Any], dtype: type[np.generic], shape: tuple[int | None, ...]
) -> None:
    """Raise ValueError unless the array is of this type and shape; None stands for any length."""
    fits = array.ndim == len(shape) and all(
        wanted in (None, found) for wanted, found in zip(shape, array.shape, strict=True)
    )
    if array.dtype != dtype or not fits:
        wanted = ", ".join("any" if side is None else str(side) for side in shape)
        raise ValueError(
            f"{name}: expected {np.dtype(dtype)} ({wanted}), found {array.dtype} {array.shape}"
        )

"""Array aliases. Axis letters: B instances, S slots, M items, N bins, V variants, R resources, K shapes."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int32]
LongArray = NDArray[np.int64]
FloatArray = NDArray[np.float32]
BoolArray = NDArray[np.bool_]
Array = NDArray[Any]

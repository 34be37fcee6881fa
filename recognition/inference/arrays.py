"""The array types that the modules of the pipeline pass to each other."""

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]  # (rows, columns, 3), BGR, upright
Floats = npt.NDArray[np.floating]

"""LoRA of a few tokens on the CPU, in one compiled call for a layer.

Of so few tokens PyTorch's products cost more to call than to compute. Weights and activations are
bfloat16, in NumPy arrays of their bits: bfloat16 is the upper half of a float32, so widening is a
shift (https://en.wikipedia.org/wiki/Bfloat16_floating-point_format). Sums are float32.
It runs on one core: threads of Numba's would change the number that vLLM has given to OpenMP.

Numba, which comes with vLLM, compiles it when the module is imported, for some seconds.
"""

import numpy as np
from numba import njit, void
from numba.types import float32, int64, uint16
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Bits = NDArray[np.uint16]
Indices = NDArray[np.int64]

_REORDERED = {"reassoc", "contract", "nsz"}
"""Sums may be reordered, else none is vectorised; NaN and infinity stay what they are."""


@njit(void(uint16[::1], float32[::1]), fastmath=_REORDERED, error_model="numpy")
def _widen(bits: Bits, wide: Floats) -> None:
    upper = wide.view(np.uint32)
    for i in range(bits.size):
        upper[i] = np.uint32(bits[i]) << np.uint32(16)


@njit(void(float32[::1], uint16[::1]), fastmath=_REORDERED, error_model="numpy")
def _narrow(wide: Floats, bits: Bits) -> None:
    """Round to the nearest, ties to even."""
    whole = wide.view(np.uint32)
    for i in range(bits.size):
        odd = (whole[i] >> np.uint32(16)) & np.uint32(1)
        bits[i] = np.uint16((whole[i] + np.uint32(0x7FFF) + odd) >> np.uint32(16))


@njit(float32(float32[::1], float32[::1]), fastmath=_REORDERED, error_model="numpy")
def _dot(left: Floats, right: Floats) -> np.float32:
    total = np.float32(0)
    for i in range(left.size):
        total += left[i] * right[i]
    return total


@njit(void(float32, float32[::1], float32[::1]), fastmath=_REORDERED, error_model="numpy")
def _add(factor: float, row: Floats, total: Floats) -> None:
    for i in range(row.size):
        total[i] += factor * row[i]


@njit(
    void(
        uint16[:, ::1],
        uint16[:, ::1],
        uint16[:, :, ::1],
        uint16[:, :, ::1],
        *[int64[::1]] * 5,
        float32,
    ),
    fastmath=_REORDERED,
    error_model="numpy",
)
def add_lora(
    y: Bits,
    x: Bits,
    a: Bits,
    b: Bits,
    tokens: Indices,
    starts: Indices,
    slots: Indices,
    first: Indices,
    last: Indices,
    scale: float,
) -> None:
    """Add ``scale * x A B`` to ``y`` for some tokens, each with its adapter's A and B.

    ``x`` ``(all tokens, inputs)``, ``y`` ``(all tokens, outputs)``, ``a`` ``(slots, rows,
    inputs)``, ``b`` ``(slots, rows, outputs)``. Tokens ``tokens[starts[g]:starts[g + 1]]`` belong
    to slot ``slots[g]``. Row ``r`` of B is zero outside columns ``first[r]`` to ``last[r]``.
    """
    most, rows = np.max(np.diff(starts)), a.shape[1]
    wide = np.empty((most, x.shape[1]), np.float32)
    sums = np.empty((most, y.shape[1]), np.float32)
    low = np.empty((most, rows), np.float32)
    row = np.empty(max(x.shape[1], y.shape[1]), np.float32)
    for g in range(slots.size):
        some = tokens[starts[g] : starts[g + 1]]
        for t in range(some.size):
            _widen(x[some[t]], wide[t])
            _widen(y[some[t]], sums[t])
        for r in range(rows):
            weights = row[: x.shape[1]]
            _widen(a[slots[g], r], weights)
            for t in range(some.size):
                low[t, r] = scale * _dot(weights, wide[t])
        for r in range(rows):
            weights = row[: last[r] - first[r]]
            _widen(b[slots[g], r, first[r] : last[r]], weights)
            for t in range(some.size):
                _add(low[t, r], weights, sums[t, first[r] : last[r]])
        for t in range(some.size):
            _narrow(sums[t], y[some[t]])

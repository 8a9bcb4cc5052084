/**
 * Projective map of the plane as a 3×3 matrix in row-major order: (x, y) maps to (X/w, Y/w)
 * with [X, Y, w] = M · [x, y, 1].
 *
 * The maps of augmentation take a position in the output to the position in the input that is shown there, both in the
 * coordinates of PyTorch's affine_grid: x to the right and y down, −1 and 1 at the centers of the border pixels.
 */
export type Matrix = readonly [number, number, number, number, number, number, number, number, number]

/** Map that changes nothing. */
export const identity: Matrix = [1, 0, 0, 0, 1, 0, 0, 0, 1]

/** Multiplies two maps: a · b applies b first, then a. */
export function multiply(a: Matrix, b: Matrix): Matrix {
  const [a0, a1, a2, a3, a4, a5, a6, a7, a8] = a
  const [b0, b1, b2, b3, b4, b5, b6, b7, b8] = b
  return [
    a0 * b0 + a1 * b3 + a2 * b6,
    a0 * b1 + a1 * b4 + a2 * b7,
    a0 * b2 + a1 * b5 + a2 * b8,
    a3 * b0 + a4 * b3 + a5 * b6,
    a3 * b1 + a4 * b4 + a5 * b7,
    a3 * b2 + a4 * b5 + a5 * b8,
    a6 * b0 + a7 * b3 + a8 * b6,
    a6 * b1 + a7 * b4 + a8 * b7,
    a6 * b2 + a7 * b5 + a8 * b8,
  ]
}

/** Applies a map to (x, y) and returns homogeneous coordinates [X, Y, w]. */
export function transform(m: Matrix, x: number, y: number): readonly [number, number, number] {
  return [m[0] * x + m[1] * y + m[2], m[3] * x + m[4] * y + m[5], m[6] * x + m[7] * y + m[8]]
}

/** Map that flips left and right. */
export const flip: Matrix = [-1, 0, 0, 0, 1, 0, 0, 0, 1]

/** Returns one of the eight symmetries of a square, k = 0 … 7. Source: fastai vision/augment.py, dihedral_mat. */
export function dihedral(k: number): Matrix {
  const x = [1, -1, 1, -1, -1, 1, 1, -1][k]
  const y = [1, 1, -1, 1, -1, -1, 1, -1][k]
  const swapped = [false, false, false, true, false, true, true, true][k]
  return swapped ? [0, x, 0, y, 0, 0, 0, 0, 1] : [x, 0, 0, 0, y, 0, 0, 0, 1]
}

/** Returns a rotation by an angle in degrees. Source: fastai vision/augment.py, rotate_mat. */
export function rotate(degrees: number): Matrix {
  const angle = (degrees * Math.PI) / 180
  const cos = Math.cos(angle)
  const sin = Math.sin(angle)
  return [cos, sin, 0, -sin, cos, 0, 0, 0, 1]
}

/**
 * Returns a magnification; column and row in [0,1] select the visible part. Source: fastai vision/augment.py, zoom_mat.
 */
export function zoom(magnification: number, column: number, row: number): Matrix {
  const s = 1 / magnification
  return [s, 0, (1 - s) * (2 * column - 1), 0, s, (1 - s) * (2 * row - 1), 0, 0, 1]
}

/**
 * Returns a perspective that maps the corners (∓1 ∓ y, ∓1 ∓ x) of a tilted image back to those of the square.
 *
 * fastai (vision/augment.py, find_coeffs) solves an 8×8 system for every item; for its corners the solution is
 *   [1, q, −u; q, 1, −v; −u, −v, 1],  D = 1 − x² − y²,  q = 2xy/D,  u = x(1 − x² + y²)/D,  v = y(1 + x² − y²)/D.
 */
export function warp(x: number, y: number): Matrix {
  const d = 1 - x * x - y * y
  const q = (2 * x * y) / d
  const u = (x * (1 - x * x + y * y)) / d
  const v = (y * (1 + x * x - y * y)) / d
  return [1, q, -u, q, 1, -v, -u, -v, 1]
}

/**
 * Converts a map to pixels: from (column, row) relative to the center of an output to those relative to the center of
 * an input.
 */
export function betweenPixels(
  m: Matrix,
  output: readonly [height: number, width: number],
  input: readonly [height: number, width: number],
): Matrix {
  const half = (size: number) => (size - 1) / 2
  const [y, x] = [half(output[0]), half(output[1])]
  const [Y, X] = [half(input[0]), half(input[1])]
  return [(m[0] * X) / x, (m[1] * X) / y, m[2] * X, (m[3] * Y) / x, (m[4] * Y) / y, m[5] * Y, m[6] / x, m[7] / y, m[8]]
}

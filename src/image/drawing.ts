/** Images of shapes and textures, drawn from random numbers: what data/sample.ts is made of. */
import type { Rng } from '../base/rng.ts'
import type { Pixels } from './pixels.ts'

type Colour = readonly [number, number, number]
/** A point in an object's own coordinates, turned with it; the object lies within 1 of the origin. */
type Field = (x: number, y: number) => number

/** One object: how far outside its outline a point is (negative inside), and which of its two colours it has, 0 … 1. */
interface Thing {
  readonly distance: Field
  readonly blend: Field
}

const things = {
  disc: (draw) => solid(ellipse(draw.uniform(0.85, 1)), draw),
  ring: (draw) => {
    const half = draw.uniform(0.1, 0.22)
    return solid((x, y) => Math.abs(Math.hypot(x, y) - 1 + half) - half, draw)
  },
  triangle: (draw) => maybeHollow(polygon(corners(3, () => draw.uniform(0.8, 1))), 0.5, draw),
  square: (draw) => maybeHollow(rectangle(0.72, 0.72 * draw.uniform(0.8, 1)), 0.72, draw),
  star: (draw) => {
    const inner = draw.uniform(0.36, 0.5)
    return maybeHollow(polygon(corners(10, (i) => (i % 2 === 0 ? 1 : inner))), inner, draw)
  },
  cross: (draw) => {
    const arm = draw.uniform(0.2, 0.32)
    const [across, upright] = [rectangle(0.95, arm), rectangle(arm, 0.95)]
    return solid((x, y) => Math.min(across(x, y), upright(x, y)), draw)
  },
  stripes: (draw) => {
    const { period, phase } = grid(draw)
    return textured((x) => wave(x / period + phase, period), draw)
  },
  checkerboard: (draw) => {
    const { period, phase } = grid(draw)
    return textured((x, y) => {
      const [a, b] = [wave(x / period / 2 + phase, period), wave(y / period / 2 + phase, period)]
      return a + b - 2 * a * b
    }, draw)
  },
  dots: (draw) => {
    const { period, phase } = grid(draw)
    const radius = draw.uniform(0.28, 0.38)
    return textured((x, y) => {
      const [a, b] = [x / period + phase, y / period + phase]
      return step((Math.hypot(a - Math.round(a), b - Math.round(b)) - radius) * period)
    }, draw)
  },
  spiral: (draw) => {
    const period = draw.uniform(0.26, 0.42)
    const sense = draw.bernoulli(0.5) ? 1 : -1
    return textured(
      (x, y) => wave(Math.hypot(x, y) / period + (sense * Math.atan2(y, x)) / (2 * Math.PI), period),
      draw,
    )
  },
} as const satisfies Record<string, (draw: Rng) => Thing>

export type ThingName = keyof typeof things
export const thingNames = Object.keys(things) as readonly ThingName[]

/** Pixels along which an edge fades, so that it is smooth: edges are drawn this wide in the object's coordinates. */
const EDGE = 0.02

/**
 * An image of one thing, of random size, place, angle and colours, on a random ground with things in the way.
 *
 * @returns 8-bit RGBA, the shorter side 120 … 208 pixels, the longer up to 1.6 times as long
 */
export function drawPicture(name: ThingName, draw: Rng): Pixels {
  const short = draw.integer(120, 208)
  const long = Math.round(short * draw.uniform(1, 1.6))
  const [width, height] = draw.bernoulli(0.5) ? [long, short] : [short, long]
  const picture = { width, height, data: new Uint8Array(width * height * 4).fill(255) }

  const ground = [colour(draw), colour(draw)] as const
  drawGround(picture, ground, draw)
  for (let i = draw.integer(1, 3); i > 0; i--) drawStroke(picture, draw.uniform(0.005, 0.015) * short, draw)
  for (let i = draw.integer(0, 2); i > 0; i--) drawSmudge(picture, draw)
  const thing = things[name](draw)
  drawThing(picture, thing, placeIn(picture, draw), ground, draw)
  if (draw.bernoulli(0.2)) drawStroke(picture, draw.uniform(0.02, 0.04) * short, draw)
  addNoise(picture, draw)
  return picture
}

/** Things of a scene and the part of the image that each covers. */
export interface Scene {
  readonly picture: Pixels
  readonly areas: readonly number[]
}

/** Cells of a scene along each side: so many things next to each other. */
const CELLS = 2

/** Part of a color's light that the ground of a scene has. */
const DARK = 0.3

/** The most things that a scene can have. */
export const mostThings = CELLS ** 2

/**
 * An image of several things beside each other, or none, of random sizes, places, angles and colours, on a random ground.
 *
 * @param names  at most `mostThings`
 * @param size   height and width in pixels
 */
export function drawScene(names: readonly ThingName[], size: number, draw: Rng): Scene {
  const picture = { width: size, height: size, data: new Uint8Array(size * size * 4).fill(255) }
  // Dark, so that the things stand out: a small network learns them in minutes.
  const dark = (): Colour => {
    const [red, green, blue] = colour(draw)
    return [DARK * red, DARK * green, DARK * blue]
  }
  const ground = [dark(), dark()] as const
  drawGround(picture, ground, draw)
  const cells = draw.permutation(mostThings)
  const side = size / CELLS
  const areas = names.map((name, i) => {
    const radius = draw.uniform(0.28, 0.44) * side
    const reach = 0.5 * side - radius
    const [column, row] = [cells[i] % CELLS, Math.floor(cells[i] / CELLS)]
    const centreX = (column + 0.5) * side + draw.uniform(-reach, reach)
    const centreY = (row + 0.5) * side + draw.uniform(-reach, reach)
    return drawThing(picture, things[name](draw), { radius, centreX, centreY }, ground, draw) / size ** 2
  })
  addNoise(picture, draw)
  return { picture, areas }
}

/** Two colours running into each other, with three waves of light and dark over them. */
function drawGround({ width, height, data }: Pixels, [from, to]: readonly [Colour, Colour], draw: Rng): void {
  const angle = draw.uniform(0, 2 * Math.PI)
  const [cosine, sine] = [Math.cos(angle), Math.sin(angle)]
  const size = Math.max(width, height)
  const light = Array.from({ length: 3 }, () => planeWave(width, height, draw.uniform(2, 12) / size, draw))
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at += 4) {
      const along = ((x - width / 2) * cosine + (y - height / 2) * sine) / size + 0.5
      const brighter = light[0](x, y) + light[1](x, y) + light[2](x, y)
      for (let c = 0; c < 3; c++) data[at + c] = clamp(from[c] + (to[c] - from[c]) * along + brighter)
    }
  }
}

/** sin(a·x + b·y) = sin(a·x)·cos(b·y) + cos(a·x)·sin(b·y), from tables of each; √(a² + b²) = perPixel. */
function planeWave(width: number, height: number, perPixel: number, draw: Rng): Field {
  const [direction, phase, strength] = [draw.uniform(0, 2 * Math.PI), draw.uniform(0, 2 * Math.PI), draw.uniform(2, 14)]
  const across = Float64Array.from({ length: width }, (_, x) => phase + x * perPixel * Math.cos(direction))
  const down = Float64Array.from({ length: height }, (_, y) => y * perPixel * Math.sin(direction))
  const [sinX, cosX, sinY, cosY] = [across.map(Math.sin), across.map(Math.cos), down.map(Math.sin), down.map(Math.cos)]
  return (x, y) => strength * (sinX[x] * cosY[y] + cosX[x] * sinY[y])
}

/** Place of one thing in an image. */
interface Place {
  readonly radius: number
  readonly centreX: number
  readonly centreY: number
}

function placeIn({ width, height }: Pixels, draw: Rng): Place {
  const short = Math.min(width, height)
  const radius = draw.uniform(0.34, 0.48) * short
  // Within the middle square and mostly whole, so that the centre crop of the longer side shows it.
  const reach = 0.5 * short - 0.75 * radius
  const centreX = width / 2 + draw.uniform(-reach, reach)
  const centreY = height / 2 + draw.uniform(-reach, reach)
  return { radius, centreX, centreY }
}

/** @returns  the pixels that it covers, those of its edge in part */
function drawThing(
  { width, height, data }: Pixels,
  { distance, blend }: Thing,
  { radius, centreX, centreY }: Place,
  ground: readonly Colour[],
  draw: Rng,
): number {
  let covered = 0
  // Tilted and no more: turned any way round, the ten kinds take a network far more than a few minutes to learn.
  const turn = draw.uniform(-0.35, 0.35)
  const [cosine, sine] = [Math.cos(turn) / radius, Math.sin(turn) / radius]
  const first = colour(draw, ground)
  const second = colour(draw, [first])
  for (let y = rowFrom(centreY, radius); y < Math.min(height, centreY + 1.3 * radius); y++) {
    for (let x = rowFrom(centreX, radius); x < Math.min(width, centreX + 1.3 * radius); x++) {
      const u = (x - centreX) * cosine + (y - centreY) * sine
      const v = (y - centreY) * cosine - (x - centreX) * sine
      const cover = step(distance(u, v))
      if (cover === 0) continue
      covered += cover
      const mix = blend(u, v)
      const at = (y * width + x) * 4
      for (let c = 0; c < 3; c++) data[at + c] += cover * (first[c] + (second[c] - first[c]) * mix - data[at + c])
    }
  }
  return covered
}

function rowFrom(centre: number, radius: number): number {
  return Math.max(0, Math.floor(centre - 1.3 * radius))
}

/** A straight line from side to side. */
function drawStroke({ width, height, data }: Pixels, half: number, draw: Rng): void {
  const angle = draw.uniform(0, Math.PI)
  const [normalX, normalY] = [Math.cos(angle), Math.sin(angle)]
  const offset = normalX * draw.uniform(0, width) + normalY * draw.uniform(0, height)
  const paint = colour(draw)
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at += 4) {
      const cover = Math.min(1, half + 0.5 - Math.abs(normalX * x + normalY * y - offset))
      if (cover > 0) for (let c = 0; c < 3; c++) data[at + c] += cover * (paint[c] - data[at + c])
    }
  }
}

/** A soft patch without an outline. */
function drawSmudge({ width, height, data }: Pixels, draw: Rng): void {
  const radius = draw.uniform(0.1, 0.3) * Math.min(width, height)
  const [centreX, centreY] = [draw.uniform(0, width), draw.uniform(0, height)]
  const paint = colour(draw)
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at += 4) {
      const squared = ((x - centreX) ** 2 + (y - centreY) ** 2) / radius ** 2
      if (squared > 6) continue
      const cover = 0.8 * Math.exp(-squared)
      for (let c = 0; c < 3; c++) data[at + c] += cover * (paint[c] - data[at + c])
    }
  }
}

/** As of a sensor: the sum of the four bytes of one draw is nearly normal, with a deviation of 147.8 (Irwin-Hall). */
function addNoise({ data }: Pixels, draw: Rng): void {
  const scale = draw.uniform(2, 16) / 147.8
  for (let at = 0; at < data.length; at += 4) {
    const bits = draw.bits()
    const noise = scale * ((bits & 255) + ((bits >>> 8) & 255) + ((bits >>> 16) & 255) + (bits >>> 24) - 510)
    for (let c = 0; c < 3; c++) data[at + c] = clamp(data[at + c] + noise)
  }
}

/** A colour far enough from others to be told from them, in 8-bit steps of RGB. */
function colour(draw: Rng, others: readonly Colour[] = []): Colour {
  for (;;) {
    const own: Colour = [draw.uniform(0, 255), draw.uniform(0, 255), draw.uniform(0, 255)]
    if (others.every((other) => Math.hypot(own[0] - other[0], own[1] - other[1], own[2] - other[2]) > 110)) return own
  }
}

/** A shape of one colour that runs a little into another. */
function solid(distance: Field, draw: Rng): Thing {
  const strength = draw.uniform(0, 0.35)
  return { distance, blend: (x) => strength * (0.5 + 0.5 * x) }
}

/** One in four is an outline only; `inner` is how far its outline is from the middle. */
function maybeHollow(distance: Field, inner: number, draw: Rng): Thing {
  if (!draw.bernoulli(0.25)) return solid(distance, draw)
  const half = draw.uniform(0.15, 0.25) * inner
  return solid((x, y) => Math.abs(distance(x, y) + half) - half, draw)
}

/** A texture within a patch whose outline tells nothing: a circle bent by three waves. */
function textured(blend: Field, draw: Rng): Thing {
  const waves = [2, 3, 4].map((count) => ({
    count,
    height: draw.uniform(0, 0.12),
    phase: draw.uniform(0, 2 * Math.PI),
  }))
  const distance: Field = (x, y) => {
    let outline = 0.95
    for (const wave of waves) outline += wave.height * Math.cos(wave.count * Math.atan2(y, x) + wave.phase)
    return Math.hypot(x, y) - outline
  }
  return { distance, blend }
}

function grid(draw: Rng): { period: number; phase: number } {
  return { period: draw.uniform(0.24, 0.44), phase: draw.uniform(0, 1) }
}

/** 0 for half of every whole step of `at`, 1 for the other half; `period` is the length of a whole step. */
function wave(at: number, period: number): number {
  const within = at - Math.floor(at)
  return step((Math.abs(within - 0.5) - 0.25) * period)
}

/** 1 inside, 0 outside, running over EDGE. */
function step(distance: number): number {
  return Math.min(1, Math.max(0, 0.5 - distance / EDGE))
}

function ellipse(aspect: number): Field {
  return (x, y) => Math.hypot(x, y / aspect) - 1
}

function rectangle(halfWidth: number, halfHeight: number): Field {
  return (x, y) => Math.max(Math.abs(x) - halfWidth, Math.abs(y) - halfHeight)
}

function corners(count: number, radius: (i: number) => number): (readonly [number, number])[] {
  return Array.from({ length: count }, (_, i) => {
    const angle = (2 * Math.PI * i) / count
    return [radius(i) * Math.cos(angle), radius(i) * Math.sin(angle)]
  })
}

/** Distance to the nearest edge; negative inside, which is where a ray crosses the edges an odd number of times. */
function polygon(points: readonly (readonly [number, number])[]): Field {
  const edges = points.map(([x, y], i) => {
    const [nextX, nextY] = points[(i + 1) % points.length]
    return { x, y, nextY, dx: nextX - x, dy: nextY - y }
  })
  return (x, y) => {
    let nearest = Infinity
    let inside = false
    for (const edge of edges) {
      const along = ((x - edge.x) * edge.dx + (y - edge.y) * edge.dy) / (edge.dx ** 2 + edge.dy ** 2)
      const at = Math.min(1, Math.max(0, along))
      nearest = Math.min(nearest, (x - edge.x - at * edge.dx) ** 2 + (y - edge.y - at * edge.dy) ** 2)
      if (edge.y > y !== edge.nextY > y && x < edge.x + (edge.dx * (y - edge.y)) / edge.dy) inside = !inside
    }
    return inside ? -Math.sqrt(nearest) : Math.sqrt(nearest)
  }
}

function clamp(value: number): number {
  return Math.min(255, Math.max(0, Math.round(value)))
}

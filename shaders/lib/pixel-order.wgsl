// The order in which tiles take the pixels of a batch of images of `area` pixels.
//
// Small images are numbered position by position, the images of the batch side by side: then a whole tile is at the
// same border, and the taps that miss the image are skipped instead of multiplied by zero (2×2 images: five of nine).
// Larger ones, and 1×1 convolutions, which miss nothing, are numbered row by row, which saves cache misses.
//
// One division serves both, since a software adapter divides lane by lane.

// Image, and position in it.
struct Place { image: u32, position: u32 }

fn placeIn(images: u32, area: u32, number: u32) -> Place {
  let aside = area <= 256u && shape.R * shape.S > 1u;
  let divisor = select(area, images, aside);
  let quotient = number / divisor;
  let rest = number - quotient * divisor;
  return Place(select(quotient, rest, aside), select(rest, quotient, aside));
}

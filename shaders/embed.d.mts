/** Writes src/gpu/shaders.gen.ts from shaders/**\/*.wgsl; returns how many shaders it holds. */
export function embed(): number

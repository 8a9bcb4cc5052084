/** Writes src/gpu/wgsl/ from shaders/**\/*.wgsl; returns how many shaders it holds. */
export function embed(): number

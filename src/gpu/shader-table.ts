/**
 * Texts of the shaders and library files that are loaded, by name. Each generated module of `wgsl/` adds one; a module that
 * launches shaders imports theirs, so that a bundle holds no others.
 */
export const shaderTexts: Record<string, string> = {}

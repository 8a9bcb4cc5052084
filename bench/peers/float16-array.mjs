// Defines Float16Array, which jax-js refers to when it makes an array and Node before version 24 lacks. Nothing here is
// f16.
globalThis.Float16Array ??= class Float16Array extends Uint16Array {}

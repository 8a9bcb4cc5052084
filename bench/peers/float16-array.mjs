// jax-js names Float16Array when it makes an array, which Node before version 24 does not have. Nothing here is f16.
globalThis.Float16Array ??= class Float16Array extends Uint16Array {}

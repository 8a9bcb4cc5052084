// Takes the place of bench/peers/dawn.mjs in the page: the browser has its own WebGPU.
export const adapterUsed = {}
export const counts = {}
export const patiently = (work) => work

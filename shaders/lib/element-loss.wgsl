// Values of KIND in the losses of single outputs, see element-loss/forward.
const CROSS_ENTROPY = 0u;
const SQUARED = 1u;
const ABSOLUTE = 2u;

/** Columns of the table of epochs before those of the metrics. */
export const BEFORE = ['epoch', 'train_loss', 'valid_loss'] as const

/** Columns behind those of the metrics in mixed precision. */
export const SCALING = ['skipped', 'scale'] as const

/** Last column. */
export const TIME = 'time'

/** Names of columns of the table of epochs that are no metrics. */
export const OWN_COLUMNS: readonly string[] = [...BEFORE, ...SCALING, TIME]

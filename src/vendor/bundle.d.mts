/** Writes the bundled packages into a folder, by default beside this file. */
export function bundle(to?: string): void

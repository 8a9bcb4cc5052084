import { spawnSync } from 'node:child_process'
import { cpus } from 'node:os'
import type { Gpu } from '../../src/gpu/device.ts'
import { openGpu } from '../../src/node.ts'
import { versions } from './versions.ts'

/** Machine on which figures were measured, written into every file of results. */
export interface Machine {
  readonly device: string
  readonly driver: string
  readonly software: boolean
  readonly cores: number
  readonly date: string
  readonly versions: Readonly<Record<string, string>>
  readonly command: string
}

export function machineOf({ identity, software }: Gpu): Machine {
  return {
    // Some drivers identify a GPU only by a number.
    device: nvidiaName() ?? identity.device,
    driver: identity.driver,
    software,
    cores: cpus().length,
    date: new Date().toISOString(),
    versions: versions(),
    command: ['npm run bench --', ...process.argv.slice(2)].join(' '),
  }
}

/** Describes the machine when no GPU is open. */
export async function machineHere(): Promise<Machine> {
  const gpu = await openGpu({ profile: false })
  const machine = machineOf(gpu)
  gpu.close()
  return machine
}

/** Formats one line for the head of a table. */
export function machineText({ device, driver, software, cores, date }: Machine): string {
  const what = software ? `: a software adapter, ${cores} cores. These are figures of a processor, not of a GPU` : ''
  return `${device}, driver ${driver}${what}. ${date.slice(0, 10)}`
}

function nvidiaName(): string | undefined {
  const asked = spawnSync('nvidia-smi', ['--query-gpu=name', '--format=csv,noheader'], { encoding: 'utf8' })
  return asked.status === 0 ? asked.stdout.trim().split('\n')[0] : undefined
}

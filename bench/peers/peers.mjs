// Participants of the benchmark.
import { spawnSync } from 'node:child_process'
import { defaultGpuOptions, SOFTWARE_ONLY, useWideVectors } from '../../dist/src/platform/node/gpu.js'
import { PeerProcess } from './peer-process.mjs'

/**
 * Returns the requested peers that are available: { id, name, ours, precision, command, script, settings }.
 *
 * @param options.asIs  true to give libraries written for browsers Dawn as npm's webgpu provides it, not as wgrad sets
 *   it up
 */
export function choosePeers({ ids, asIs }) {
  const node = { command: process.execPath, precision: 'f32', ours: false }
  const adapter = process.env.GPU === 'software' ? [SOFTWARE_ONLY] : []
  const settings = { dawnOptions: [...(asIs ? [] : defaultGpuOptions(false)), ...adapter], patient: !asIs }
  // Environment variables of this process, inherited by the peers.
  if (!asIs) useWideVectors()
  const python = ids.includes('pytorch') ? findPython() : undefined
  return [
    { ...node, id: 'wgrad-f32', name: 'wgrad f32', ours: true, script: 'wgrad.mjs', settings: { precision: 'f32' } },
    {
      ...node,
      id: 'wgrad-mixed',
      name: 'wgrad mixed',
      ours: true,
      precision: 'mixed',
      script: 'wgrad.mjs',
      settings: { precision: 'mixed' },
    },
    { ...node, id: 'tfjs', name: 'TensorFlow.js', script: 'tfjs.mjs', settings },
    { ...node, id: 'jaxjs', name: 'jax-js', script: 'jaxjs.mjs', settings },
    // The peer reports its precision: mixed on CUDA.
    ...(python
      ? [{ id: 'pytorch', name: 'PyTorch', ours: false, command: python, script: 'torch_peer.py', settings: {} }]
      : []),
  ].filter(({ id }) => ids.includes(id))
}

/**
 * Asks every peer for its version and adapter.
 *
 * @throws Error  if there are no peers, one does not start, or they do not all run on the same adapter
 */
export async function introduce(peers) {
  if (peers.length === 0) throw new Error("PyTorch alone was asked for, and `python3 -c 'import torch'` fails")
  const known = []
  for (const peer of peers) {
    const child = new PeerProcess(peer)
    try {
      const answer = { ...peer, ...(await child.ask('hello')) }
      const how = peer.id === 'pytorch' ? (answer.precision === 'mixed' ? 'CUDA AMP' : 'CPU') : ''
      known.push({ ...answer, title: [peer.name, answer.version, how].filter(Boolean).join(' ') })
    } catch (cause) {
      throw new Error(`${peer.name} does not start: ${cause.message}`, { cause })
    } finally {
      await child.close()
    }
  }
  const onGpu = known.filter(({ id }) => id !== 'pytorch')
  if (new Set(onGpu.map(({ adapter }) => adapter)).size > 1) {
    throw new Error(
      `these are different adapters: ${onGpu.map(({ name, adapter }) => `${name} on ${adapter}`).join(', ')}`,
    )
  }
  return known
}

function findPython() {
  // Debian's python3-torch belongs to the system's Python, which may not be the `python3` on the path.
  const candidates = [process.env.PYTHON, 'python3', 'python', '/usr/bin/python3'].filter(Boolean)
  return candidates.find((command) => spawnSync(command, ['-c', 'import torch'], { stdio: 'ignore' }).status === 0)
}

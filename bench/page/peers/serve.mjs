// Takes the place of bench/peers/serve.mjs in the page: a peer in a worker, which makes some training steps when asked.
import { network, optimizers, proveTraining } from '../../peers/network.mjs'

export const settings = { patient: false, precision: self.name === 'wgrad-mixed' ? 'mixed' : 'f32' }

export async function serve({ training }) {
  try {
    const step = await training(network(), optimizers.adam)
    const losses = []
    const times = []
    const { length: proving } = optimizers.adam.losses
    const begin = performance.now()
    // Some steps more where they are short: at least a second of them.
    for (let i = 0; i < proving || (i < 40 && performance.now() - begin < 1500); i++) {
      const start = performance.now()
      losses.push(await step())
      times.push(performance.now() - start)
      postMessage({ steps: times.length })
      if (i === proving - 1) proveTraining(losses, settings.precision, optimizers.adam)
    }
    const later = times.slice(1).sort((a, b) => a - b)
    postMessage({ firstMs: times[0], stepMs: later[Math.floor(later.length / 2)], losses: losses.slice(0, proving) })
  } catch (error) {
    postMessage({ error: String(error?.message ?? error) })
  }
}

addEventListener('unhandledrejection', ({ reason }) => postMessage({ error: String(reason?.message ?? reason) }))

// Takes the place of bench/peers/serve.mjs in the page: a peer in a worker, which makes some training steps when asked.
import { network, optimizers, proveTraining, small, smallOptimizer } from '../../peers/network.mjs'

/** The page says by the name of the worker which step it wants, such as 'f32' or 'mixed small'. */
const asked = self.name.split(' ')
export const settings = { patient: false, precision: asked[0] }
const [described, optimizer] = asked.includes('small') ? [network(small), smallOptimizer] : [network(), optimizers.adam]

export async function serve({ training }) {
  try {
    const step = await training(described, optimizer)
    const losses = []
    const times = []
    const { length: proving } = optimizer.losses
    const begin = performance.now()
    // Some steps more where they are short: at least a second of them.
    for (let i = 0; i < proving || (i < 40 && performance.now() - begin < 1500); i++) {
      const start = performance.now()
      losses.push(await step())
      times.push(performance.now() - start)
      postMessage({ steps: times.length })
      if (i === proving - 1) proveTraining(losses, settings.precision, optimizer)
    }
    const later = times.slice(1).sort((a, b) => a - b)
    postMessage({ firstMs: times[0], stepMs: later[Math.floor(later.length / 2)], losses: losses.slice(0, proving) })
  } catch (error) {
    postMessage({ error: String(error?.message ?? error) })
  }
}

addEventListener('unhandledrejection', ({ reason }) => postMessage({ error: String(reason?.message ?? reason) }))

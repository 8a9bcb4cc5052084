import { parseArgs } from 'node:util'

const IDS = ['wgrad-f32', 'wgrad-mixed', 'tfjs', 'jaxjs', 'pytorch']

const USAGE = `npm run peers -- [options]

  --rounds N        turns of every peer at everything (5)
  --only A,B        of ${IDS.join(', ')}
  --part P          operations or step (both)
  --optimizer O     of the step: adam (default), or sgd with momentum in the peers, while wgrad stays with adam
  --as-is           the peers as npm's webgpu runs them: Dawn's default switches and a busy wait (see README.md)
  --json FILE       writes everything that was measured
  --help

  PYTHON=COMMAND    the Python that has PyTorch
  GPU=software      the software adapter, where there is a GPU as well
`

/** Parses the command line of a run. Ends the process with a message if it is invalid. */
export function readOptions() {
  const given = parse()
  if (given.help) {
    process.stdout.write(USAGE)
    process.exit(0)
  }
  const rounds = Number(given.rounds)
  if (!Number.isInteger(rounds) || rounds < 1) refuse(`--rounds: '${given.rounds}' is not a whole number from 1 on`)
  return {
    rounds,
    ids: given.only === undefined ? IDS : given.only.split(',').map((id) => oneOf('--only', id.trim(), IDS)),
    part: given.part && oneOf('--part', given.part, ['operations', 'step']),
    optimizer: oneOf('--optimizer', given.optimizer, ['adam', 'sgd']),
    asIs: given['as-is'],
    json: given.json,
  }
}

function parse() {
  try {
    return parseArgs({
      options: {
        rounds: { type: 'string', default: '5' },
        only: { type: 'string' },
        part: { type: 'string' },
        optimizer: { type: 'string', default: 'adam' },
        'as-is': { type: 'boolean', default: false },
        json: { type: 'string' },
        help: { type: 'boolean' },
      },
    }).values
  } catch (error) {
    return refuse(`${error.message.split('\n')[0]} (--help lists the options)`)
  }
}

function oneOf(option, value, choices) {
  if (!choices.includes(value)) refuse(`${option}: '${value}' is not one of ${choices.join(', ')}`)
  return value
}

function refuse(message) {
  process.stderr.write(`peers: ${message}\n`)
  process.exit(2)
}

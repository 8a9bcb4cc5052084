// The conversation of run.mjs with a peer: one request a line on the peer's standard input, one answer a line on its
// standard output, both JSON. Answers begin with a mark, since libraries print as well.
//
//   hello                          { version, adapter, software, precision }
//   operation { problem }          {}, the problem being one of problems.mjs
//   values { indices }             { values } of the operation's result, in wgrad's layout
//   run { times }                  { timeMs, cpuMs } of doing it so often and waiting once
//   training { network, optimizer } {}, see network.mjs
//   step                           { loss, timeMs, cpuMs, counts: { pipelines, dispatches, submits } } of one step
//   memory                         { bytes }, the most that the process ever held
//
// What fails answers { error }.

export const ANSWER = '@@ '

/** The lines of a stream, as they come. */
export async function* lines(stream) {
  let rest = ''
  stream.setEncoding('utf8')
  for await (const chunk of stream) {
    const parts = (rest + chunk).split('\n')
    rest = parts.pop()
    yield* parts
  }
}

import { NO_ANSWER } from './dom.ts'

/** A file beside the page. @throws Error  in words for the visitor */
export async function fetched(name: string, base: string): Promise<Blob> {
  const unreachable = (cause: unknown): never => {
    throw new Error(`${name} ${NO_ANSWER}`, { cause })
  }
  const response = await fetch(new URL(name, base)).catch(unreachable)
  if (!response.ok) throw new Error(`${name} cannot be loaded: the server answered ${response.status}.`)
  return response.blob().catch(unreachable)
}

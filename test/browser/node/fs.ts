/** Reads a file of the test server at once, as the golden files are read in Node. */
export function readFileSync(url: URL): string {
  const request = new XMLHttpRequest()
  request.open('GET', url, false)
  request.send()
  if (request.status !== 200) throw new Error(`${url.href}: ${request.status}`)
  return request.responseText
}

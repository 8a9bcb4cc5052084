// Takes the place of a peer whose package was not there when the page was built.
postMessage({ error: 'this copy of the page was built without it' })

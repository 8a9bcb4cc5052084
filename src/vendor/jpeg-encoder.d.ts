export { encode } from 'jpeg-js'

export { PbfWriter } from 'pbf'

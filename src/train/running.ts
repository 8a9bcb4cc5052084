/** Parts of a learner that train and evaluate, loaded with the first fit: a page is open before that. */
export { evaluate, predictItems } from './fit/evaluate.ts'
export { warnOfLeak, warnOfOtherData } from './fit/other-data.ts'
export { partsThatDecide } from './fit/replay.ts'
export { fineTune, fit, fitFlatCos, fitOneCycle, fitSgdr } from './fits.ts'

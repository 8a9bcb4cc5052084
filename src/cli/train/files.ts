import { CLEANING_FILE } from '../clean.ts'

/** Names of the files in the folder of a run. */
export const FILES = {
  checkpoint: 'training.checkpoint',
  search: 'learning-rate.json',
  images: 'images.csv',
  history: 'history.csv',
  log: 'train.log',
  cleaning: CLEANING_FILE,
  results: 'results.json',
  report: 'report.html',
  model: 'model.safetensors',
  onnx: 'model.onnx',
} as const

import { currentGpu, type Gpu } from './device.ts'

/**
 * Registers of 32 bits of a thread, by vendor as the adapter reports it: 256 of 16 bits on Apple's GPUs (dougallj.github.io/applegpu),
 * 64 on Arm's (Mali GPU OpenCL Developer Guide 101574, 9.6) and Intel's, where 16 lanes share 128 of 32 bytes, and 32 lanes of Xe2 as
 * many of 64 bytes.
 */
const REGISTERS: Readonly<Record<string, number>> = { apple: 128, arm: 64, intel: 64 }
/** The same of NVIDIA's GPUs (CUDA C++ Programming Guide, table of compute capabilities); AMD's have 256. */
const MANY = 255
/** Registers for addresses, sizes and counters: with 44 numbers beside them Intel's compiler writes 2 to memory, with 52 it writes 16. */
const OTHERS = 20

/**
 * Returns true if a thread of the GPU can keep so many numbers in registers. What is more would lie in memory, as Intel's compiler
 * shows (bench/results/intel-compiler.md).
 */
export function fitsRegisters(numbers: number, { vendor }: Pick<Gpu, 'vendor'> = currentGpu()): boolean {
  return numbers + OTHERS <= (REGISTERS[vendor] ?? MANY)
}

import { currentGpu, type Gpu } from './device.ts'

/**
 * Registers of 32 bits of a thread, by vendor or architecture as the adapter reports it: 256 of 16 bits on Apple's GPUs
 * (dougallj.github.io/applegpu), 64 on Arm's (Mali GPU OpenCL Developer Guide 101574, 9.6) and Intel's, where 16 lanes share 128 of
 * 32 bytes, and 32 lanes of Xe2 as many of 64 bytes. A wave of 128 lanes has 128 on most of Qualcomm's 6xx (Mesa,
 * freedreno_devices.py); a 7xx has 192, which hold the blocks for 255, or nearly so (bench/results/qualcomm-compiler.md).
 */
const REGISTERS: Readonly<Record<string, number>> = { apple: 128, arm: 64, intel: 64, 'adreno-6xx': 128 }
/** The same of NVIDIA's GPUs (CUDA C++ Programming Guide, table of compute capabilities); AMD's have 256. */
const MANY = 255
/** Registers for addresses, sizes and counters: with 44 numbers beside them Intel's compiler writes 2 to memory, with 52 it writes 16. */
const OTHERS = 20

/**
 * Returns true if a thread of the GPU can keep so many numbers in registers. What is more would lie in memory, as the
 * compilers of Intel and Qualcomm show (bench/results/intel-compiler.md, qualcomm-compiler.md).
 */
export function fitsRegisters(
  numbers: number,
  { vendor, architecture }: Pick<Gpu, 'vendor' | 'architecture'> = currentGpu(),
): boolean {
  return numbers + OTHERS <= (REGISTERS[architecture] ?? REGISTERS[vendor] ?? MANY)
}

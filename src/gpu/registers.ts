import { currentGpu, type Gpu } from './device.ts'

/**
 * Vendors, as the adapter reports them, of GPUs with some 64 registers of 32 bits for each thread: Arm (Mali GPU OpenCL Developer
 * Guide 101574, 9.6) and Intel, where 16 lanes share 128 registers of 32 bytes, or 32 lanes of Xe2 as many of 64 bytes.
 */
const FEW: readonly string[] = ['arm', 'intel']

/**
 * Returns true if a thread of the GPU has so few registers that what kernels keep there on other GPUs would lie in memory. Intel's
 * compiler has been asked (bench/results/intel-compiler.md).
 */
export function hasFewRegisters({ vendor }: Pick<Gpu, 'vendor'> = currentGpu()): boolean {
  return FEW.includes(vendor)
}

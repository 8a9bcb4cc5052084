import type { TunedTable } from './tuned-table.ts'

/**
 * Results of the tuner on adapters that were measured, so that a first run on one of them starts fast: the contents of the
 * file that `tune` wrote there (see `tunedFile`), one per device.
 *
 * NVIDIA H200: xresnet18 at 128 px in batches of 64 and 256, mixed precision, 2026-11-26 (bench/results/h200.md); `ruleMs`
 * belongs to the default variants of that day, which were of the family `tile` in the first eight passes. Sixteen forward passes
 * and gradients of the input were measured again on 2026-11-27, with loads during the products and tiles of 256×64; there the
 * rule chooses the same.
 */
// prettier-ignore
export const SHIPPED: readonly TunedTable[] = [
  {
    device: 'nvidia nvidia-h200',
    driver: 'NVIDIA: 580.159.04 580.159.4.0',
    kernels: 'bb9f2d63',
    matrices: true,
    passes: {
      'forward f16 [64,32,32,64]→[64,32,32,64] 3×3 /1 +1': { kernel: 'matrix 256×64×64, 4×2 subgroups, 16×16×16', timeMs: 0.0309, ruleMs: 0.0309 },
      'backward-weight f16 [64,32,32,64]→[64,32,32,64] 3×3 /1 +1': { kernel: 'matrix 64×64×64, 2×2 subgroups, 16×16×16, few slices', timeMs: 0.0399, ruleMs: 0.1877 },
      'backward-input f16 [64,32,32,64]→[64,32,32,64] 3×3 /1 +1': { kernel: 'matrix 256×64×64, 4×2 subgroups, 16×16×16', timeMs: 0.0327, ruleMs: 0.0327 },
      'forward f16 [64,16,16,128]→[64,16,16,128] 3×3 /1 +1': { kernel: 'matrix 128×128×64, 2×4 subgroups, 16×16×16', timeMs: 0.0261, ruleMs: 0.1506 },
      'forward f16 [64,8,8,256]→[64,8,8,256] 3×3 /1 +1': { kernel: 'matrix 64×64×64, 2×2 subgroups, 16×16×16', timeMs: 0.0325, ruleMs: 0.1885 },
      'forward f16 [64,4,4,512]→[64,4,4,512] 3×3 /1 +1': { kernel: 'matrix 64×64×64, 2×2 subgroups, 16×16×16', timeMs: 0.0459, ruleMs: 0.2874 },
      'backward-weight f16 [64,4,4,512]→[64,4,4,512] 3×3 /1 +1': { kernel: 'matrix 64×64×64, 2×2 subgroups, 16×16×16, few slices', timeMs: 0.0487, ruleMs: 0.1835 },
      'backward-input f16 [64,4,4,512]→[64,4,4,512] 3×3 /1 +1': { kernel: 'matrix 64×64×64, 2×2 subgroups, 16×16×16', timeMs: 0.0509, ruleMs: 0.2216 },
      'backward-weight f16 [64,8,8,256]→[64,8,8,256] 3×3 /1 +1': { kernel: 'matrix 128×128×64, 2×4 subgroups, 16×16×16, few slices', timeMs: 0.0472, ruleMs: 0.0513 },
      'backward-input f16 [64,8,8,256]→[64,8,8,256] 3×3 /1 +1': { kernel: 'matrix 64×64×64, 2×2 subgroups, 16×16×16', timeMs: 0.0342, ruleMs: 0.0342 },
      'backward-weight f16 [64,16,16,128]→[64,16,16,128] 3×3 /1 +1': { kernel: 'matrix 128×128×64, 2×4 subgroups, 16×16×16, few slices', timeMs: 0.0356, ruleMs: 0.0456 },
      'backward-input f16 [64,16,16,128]→[64,16,16,128] 3×3 /1 +1': { kernel: 'matrix 128×128×64, 2×4 subgroups, 16×16×16', timeMs: 0.0275, ruleMs: 0.0366 },
      'forward f16 [64,64,64,32]→[64,64,64,64] 3×3 /1 +1': { kernel: 'matrix 256×64×64, 4×2 subgroups, 16×16×16', timeMs: 0.0905, ruleMs: 0.0905 },
      'backward-weight f16 [64,64,64,32]→[64,64,64,64] 3×3 /1 +1': { kernel: 'matrix 64×64×64, 2×2 subgroups, 16×16×16, few slices', timeMs: 0.1113, ruleMs: 0.1304 },
      'backward-input f16 [64,64,64,32]→[64,64,64,64] 3×3 /1 +1': { kernel: 'matrix 128×32×64, 4×1 subgroups, 16×16×16', timeMs: 0.0948, ruleMs: 0.0948 },
      'forward f16 [64,64,64,32]→[64,64,64,32] 3×3 /1 +1': { kernel: 'matrix 128×32×64, 4×1 subgroups, 16×16×16', timeMs: 0.0535, ruleMs: 0.0535 },
      'backward-weight f16 [64,64,64,32]→[64,64,64,32] 3×3 /1 +1': { kernel: 'matrix 32×32×64, 1×2 subgroups, 16×16×16', timeMs: 0.0881, ruleMs: 0.0881 },
      'backward-input f16 [64,64,64,32]→[64,64,64,32] 3×3 /1 +1': { kernel: 'matrix 128×32×64, 4×1 subgroups, 16×16×16', timeMs: 0.0581, ruleMs: 0.0581 },
      'forward f16 [64,32,32,64]→[64,16,16,128] 3×3 /2 +1': { kernel: 'matrix 128×128×64, 2×4 subgroups, 16×16×16', timeMs: 0.0168, ruleMs: 0.0202 },
      'forward f16 [64,16,16,128]→[64,8,8,256] 3×3 /2 +1': { kernel: 'matrix 64×64×64, 2×2 subgroups, 16×16×16', timeMs: 0.0184, ruleMs: 0.0184 },
      'forward f16 [64,8,8,256]→[64,4,4,512] 3×3 /2 +1': { kernel: 'matrix 64×64×64, 2×2 subgroups, 16×16×16', timeMs: 0.0243, ruleMs: 0.0243 },
      'backward-weight f16 [64,8,8,256]→[64,4,4,512] 3×3 /2 +1': { kernel: 'matrix 128×128×64, 2×4 subgroups, 16×16×16, few slices', timeMs: 0.0327, ruleMs: 0.0349 },
      'backward-input f16 [64,8,8,256]→[64,4,4,512] 3×3 /2 +1': { kernel: 'matrix 64×64×64, 2×2 subgroups, 16×16×16', timeMs: 0.0316, ruleMs: 0.0316 },
      'backward-weight f16 [64,16,16,128]→[64,8,8,256] 3×3 /2 +1': { kernel: 'matrix 128×128×64, 2×4 subgroups, 16×16×16, few slices', timeMs: 0.0255, ruleMs: 0.0313 },
      'backward-input f16 [64,16,16,128]→[64,8,8,256] 3×3 /2 +1': { kernel: 'matrix 64×64×64, 2×2 subgroups, 16×16×16', timeMs: 0.0287, ruleMs: 0.0287 },
      'backward-weight f16 [64,32,32,64]→[64,16,16,128] 3×3 /2 +1': { kernel: 'matrix 64×64×64, 2×2 subgroups, 16×16×16, few slices', timeMs: 0.0232, ruleMs: 0.0328 },
      'backward-input f16 [64,32,32,64]→[64,16,16,128] 3×3 /2 +1': { kernel: 'matrix 64×64×64, 2×2 subgroups, 16×16×16', timeMs: 0.0282, ruleMs: 0.0282 },
      'forward f16 [64,128,128,3]→[64,64,64,32] 3×3 /2 +1': { kernel: 'tile 128×32×16, 8×4 a thread', timeMs: 0.0378, ruleMs: 0.0378 },
      'backward-weight f16 [64,128,128,3]→[64,64,64,32] 3×3 /2 +1': { kernel: 'tile 32×32×16, 4×4 a thread', timeMs: 0.0675, ruleMs: 0.0675 },
      'forward f16 [64,16,16,64]→[64,16,16,128] 1×1 /1 +0': { kernel: 'matrix 128×128×64, 2×4 subgroups, 16×16×16', timeMs: 0.0074, ruleMs: 0.0081 },
      'forward f16 [64,8,8,128]→[64,8,8,256] 1×1 /1 +0': { kernel: 'matrix 64×64×64, 2×2 subgroups, 16×16×16', timeMs: 0.0059, ruleMs: 0.0059 },
      'forward f16 [64,4,4,256]→[64,4,4,512] 1×1 /1 +0': { kernel: 'matrix 64×64×64, 2×2 subgroups, 16×16×16', timeMs: 0.0061, ruleMs: 0.0061 },
      'backward-weight f16 [64,4,4,256]→[64,4,4,512] 1×1 /1 +0': { kernel: 'matrix 64×64×64, 2×2 subgroups, 16×16×16, few slices', timeMs: 0.0086, ruleMs: 0.0109 },
      'backward-input f16 [64,4,4,256]→[64,4,4,512] 1×1 /1 +0': { kernel: 'matrix 32×32×64, 1×2 subgroups, 16×16×16', timeMs: 0.0098, ruleMs: 0.0105 },
      'forward f16 [256,32,32,64]→[256,32,32,64] 3×3 /1 +1': { kernel: 'matrix 256×64×64, 4×2 subgroups, 16×16×16', timeMs: 0.1290, ruleMs: 0.1290 },
      'backward-weight f16 [256,32,32,64]→[256,32,32,64] 3×3 /1 +1': { kernel: 'matrix 64×64×64, 2×2 subgroups, 16×16×16, few slices', timeMs: 0.1891, ruleMs: 0.2037 },
      'backward-input f16 [256,32,32,64]→[256,32,32,64] 3×3 /1 +1': { kernel: 'matrix 256×64×64, 4×2 subgroups, 16×16×16', timeMs: 0.1368, ruleMs: 0.1368 },
      'forward f16 [256,16,16,128]→[256,16,16,128] 3×3 /1 +1': { kernel: 'matrix 128×128×64, 2×4 subgroups, 16×16×16', timeMs: 0.0969, ruleMs: 0.0969 },
      'forward f16 [256,8,8,256]→[256,8,8,256] 3×3 /1 +1': { kernel: 'matrix 128×128×64, 2×4 subgroups, 16×16×16', timeMs: 0.0872, ruleMs: 0.0872 },
      'forward f16 [256,4,4,512]→[256,4,4,512] 3×3 /1 +1': { kernel: 'matrix 128×128×64, 2×4 subgroups, 16×16×16', timeMs: 0.0839, ruleMs: 0.0839 },
      'backward-weight f16 [256,4,4,512]→[256,4,4,512] 3×3 /1 +1': { kernel: 'matrix 128×128×64, 2×4 subgroups, 16×16×16, few slices', timeMs: 0.1610, ruleMs: 0.1847 },
      'backward-input f16 [256,4,4,512]→[256,4,4,512] 3×3 /1 +1': { kernel: 'matrix 128×128×64, 2×4 subgroups, 16×16×16', timeMs: 0.0908, ruleMs: 0.0908 },
      'backward-weight f16 [256,8,8,256]→[256,8,8,256] 3×3 /1 +1': { kernel: 'matrix 128×128×64, 2×4 subgroups, 16×16×16, few slices', timeMs: 0.1647, ruleMs: 0.1978 },
      'backward-input f16 [256,8,8,256]→[256,8,8,256] 3×3 /1 +1': { kernel: 'matrix 128×128×64, 2×4 subgroups, 16×16×16', timeMs: 0.0930, ruleMs: 0.0930 },
      'backward-weight f16 [256,16,16,128]→[256,16,16,128] 3×3 /1 +1': { kernel: 'matrix 128×128×64, 2×4 subgroups, 16×16×16, few slices', timeMs: 0.1454, ruleMs: 0.2033 },
      'backward-input f16 [256,16,16,128]→[256,16,16,128] 3×3 /1 +1': { kernel: 'matrix 128×128×64, 2×4 subgroups, 16×16×16', timeMs: 0.1011, ruleMs: 0.1011 },
      'forward f16 [256,64,64,32]→[256,64,64,64] 3×3 /1 +1': { kernel: 'matrix 256×64×64, 4×2 subgroups, 16×16×16', timeMs: 0.3518, ruleMs: 0.3518 },
      'backward-weight f16 [256,64,64,32]→[256,64,64,64] 3×3 /1 +1': { kernel: 'matrix 64×64×64, 2×2 subgroups, 16×16×16', timeMs: 0.4290, ruleMs: 0.4290 },
      'backward-input f16 [256,64,64,32]→[256,64,64,64] 3×3 /1 +1': { kernel: 'matrix 128×32×64, 4×1 subgroups, 16×16×16', timeMs: 0.3537, ruleMs: 0.3537 },
      'forward f16 [256,64,64,32]→[256,64,64,32] 3×3 /1 +1': { kernel: 'matrix 128×32×64, 4×1 subgroups, 16×16×16', timeMs: 0.2153, ruleMs: 0.2153 },
      'backward-weight f16 [256,64,64,32]→[256,64,64,32] 3×3 /1 +1': { kernel: 'matrix 32×32×64, 1×2 subgroups, 16×16×16', timeMs: 0.3301, ruleMs: 0.3301 },
      'backward-input f16 [256,64,64,32]→[256,64,64,32] 3×3 /1 +1': { kernel: 'matrix 128×32×64, 4×1 subgroups, 16×16×16', timeMs: 0.2257, ruleMs: 0.2257 },
      'forward f16 [256,32,32,64]→[256,16,16,128] 3×3 /2 +1': { kernel: 'matrix 128×128×64, 2×4 subgroups, 16×16×16', timeMs: 0.0682, ruleMs: 0.0836 },
      'forward f16 [256,16,16,128]→[256,8,8,256] 3×3 /2 +1': { kernel: 'matrix 128×128×64, 2×4 subgroups, 16×16×16', timeMs: 0.0514, ruleMs: 0.0658 },
      'forward f16 [256,8,8,256]→[256,4,4,512] 3×3 /2 +1': { kernel: 'matrix 128×128×64, 2×4 subgroups, 16×16×16', timeMs: 0.0468, ruleMs: 0.0625 },
      'backward-weight f16 [256,8,8,256]→[256,4,4,512] 3×3 /2 +1': { kernel: 'matrix 128×128×64, 2×4 subgroups, 16×16×16, few slices', timeMs: 0.0877, ruleMs: 0.1029 },
      'backward-input f16 [256,8,8,256]→[256,4,4,512] 3×3 /2 +1': { kernel: 'matrix 64×64×64, 2×2 subgroups, 16×16×16', timeMs: 0.0780, ruleMs: 0.0780 },
      'backward-weight f16 [256,16,16,128]→[256,8,8,256] 3×3 /2 +1': { kernel: 'matrix 128×128×64, 2×4 subgroups, 16×16×16, few slices', timeMs: 0.0777, ruleMs: 0.1096 },
      'backward-input f16 [256,16,16,128]→[256,8,8,256] 3×3 /2 +1': { kernel: 'matrix 128×128×64, 2×4 subgroups, 16×16×16', timeMs: 0.0693, ruleMs: 0.0854 },
    },
  },
]

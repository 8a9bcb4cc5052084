import type { Platform } from '../platform.ts'

type Kind = 'software' | 'discrete' | 'any'

const DEFAULT = 'or leave GPU and the option `adapter` unset'
const MESA = 'Mesa 24 or later (`mesa-vulkan-drivers`; on Debian 12 from bookworm-backports)'

/** Advice by `process.platform`; systems that are not listed get that of Linux. */
const ADVICE: Readonly<Record<'linux' | 'darwin' | 'win32', Readonly<Record<Kind, string>>>> = {
  linux: {
    software: `install ${MESA}, whose driver lavapipe computes on the processor, and the Vulkan loader (\`libvulkan1\`), ${DEFAULT}`,
    discrete: `install the Vulkan driver of your graphics card: NVIDIA's own, or for AMD and Intel ${MESA}; ${DEFAULT} to compute on the processor`,
    any: `install a Vulkan driver: that of your graphics card, or without one ${MESA}: \`sudo apt-get install mesa-vulkan-drivers libvulkan1\` on Debian 13 or Ubuntu 24.04. In a clone of wgrad \`npm test\` does this on Debian and Ubuntu`,
  },
  darwin: {
    software: `macOS has no software adapter: leave GPU and the option \`adapter\` unset`,
    discrete: `macOS 11 and later have a Metal driver for every GPU, but a virtual machine may have no GPU: use the machine itself, ${DEFAULT}`,
    any: 'macOS 11 and later have a Metal driver for every GPU, but a virtual machine may have no GPU: use the machine itself',
  },
  win32: {
    software: `use Windows 10 or later, of which the Microsoft Basic Render Driver is a part, ${DEFAULT}`,
    discrete: `install the driver of your graphics card from its maker (Direct3D 12), ${DEFAULT} to compute on the processor`,
    any: 'install the driver of your graphics card from its maker (Direct3D 12)',
  },
}

/** How to get an adapter of that kind on this system: see `Platform.adapterAdvice`. */
export function adapterAdvice(
  asked?: Parameters<Platform['adapterAdvice']>[0],
  system: string = process.platform,
): string {
  return ADVICE[system === 'darwin' || system === 'win32' ? system : 'linux'][asked ?? 'any']
}

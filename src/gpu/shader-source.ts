/** Text of a `.wgsl` file with its header lines, as shaders/embed.mjs reads them. */
export interface ShaderSource {
  readonly text: string
  /** Library files, users after used. */
  readonly uses: readonly string[]
  /** Extensions of WGSL, those of the library files included. */
  readonly enables: readonly string[]
  /** Name and WGSL type of every `@const`. */
  readonly constants: readonly (readonly [string, string])[]
  /** Fields of `shape`. */
  readonly shape: readonly string[]
  readonly bindings: readonly {
    readonly index: number
    readonly access: string
    readonly name: string
    /** Type of its numbers; `storage` is that of the launch. */
    readonly holds: 'storage' | 'f32' | 'u32' | 'struct'
  }[]
  /** Constants and sizes with which tests compile the shader. */
  readonly sample: Readonly<Record<string, number | boolean>>
}

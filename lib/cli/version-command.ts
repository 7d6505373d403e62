// `aspen version`.

import { EXIT } from '../errors.ts'
import { VERSION } from '../version.ts'
import type { Invocation } from './invocation.ts'

export function version({ output }: Invocation): Promise<number> {
  const platform = `${process.platform}-${process.arch}`
  output.result({
    human: (style) => [
      `aspen ${VERSION} ${style.dim(`(node ${process.versions.node}, ${platform})`)}`
    ],
    json: () => ({ version: VERSION, node_version: process.versions.node, platform }),
    quiet: () => VERSION
  })
  return Promise.resolve(EXIT.ok)
}

// Real nodes in this process, over a private DHT.

import { join } from 'node:path'
import type { Address } from '../../lib/address.ts'
import { createLogger } from '../../lib/node/log.ts'
import { AspenNode } from '../../lib/node/node.ts'
import type { Intent, NodeOptions } from '../../lib/node/options.ts'

export interface Site {
  readonly root: string
  readonly bootstrap: readonly Address[]
}

export function openNode(
  site: Site,
  intent: Intent,
  more: Partial<NodeOptions> & { readonly name: string }
): Promise<AspenNode> {
  return AspenNode.open({
    intent,
    dataDir: join(site.root, more.name),
    bootstrap: site.bootstrap,
    port: null,
    httpPort: null,
    timing: null,
    storage: null,
    logger: createLogger({ level: 'silent', destination: 'ndjson' }),
    onProgress: () => {},
    ...more
  })
}

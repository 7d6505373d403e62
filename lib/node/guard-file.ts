// The memories of the amnesia guard as a file, `guard.json`. Written beside the event loop, durable
// before the file before it goes. A file that is lost or damaged costs caution, nothing else.

import { open, rename } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Type } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import type { Memory } from '../cluster/amnesia-guard.ts'
import type { Memories, MemoryStore } from '../cluster/guard-keeper.ts'
import { MAX_PEERS } from '../limits.ts'
import { readJson } from '../config/places.ts'

const Whole = Type.Integer({ minimum: 0 })
const Hex = Type.String({ pattern: '^[0-9a-f]{32}$' })
const MemoryJson = Type.Object(
  {
    boot: Whole,
    instance: Hex,
    storageEpoch: Hex,
    saidTerm: Whole,
    term: Whole,
    index: Whole
  },
  { additionalProperties: false }
)
const GuardJson = Type.Record(Type.String({ pattern: '^[0-9a-f]{64}$' }), MemoryJson, {
  additionalProperties: false
})

export class GuardFile implements MemoryStore {
  readonly found: Memories
  readonly #path: string

  constructor(dataDir: string) {
    this.#path = join(dataDir, 'guard.json')
    this.found = readMemories(this.#path)
  }

  save(memories: Memories, onEnd: (isSaved: boolean) => void): void {
    const text = `${JSON.stringify(Object.fromEntries(memories), null, 2)}\n`
    // a disk that does not take it will say so to the log
    replaceFile(this.#path, text).then(
      () => onEnd(true),
      () => onEnd(false)
    )
  }
}

function readMemories(path: string): Memories {
  const json = readJson(path)
  if (!Value.Check(GuardJson, json)) return new Map()
  return new Map<string, Memory>(Object.entries(json).slice(-MAX_PEERS))
}

async function replaceFile(path: string, text: string): Promise<void> {
  const temporary = `${path}.tmp`
  const file = await open(temporary, 'w', 0o600)
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(temporary, path)
  const folder = await open(dirname(path), 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

// Damages copies of a data directory and opens each (damage.test.ts). In a process of its own, because
// damaged pages may end it: lmdb believes what it reads. Takes one order per line of stdin, as JSON, and
// answers with one line.

import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { present } from '../../lib/assert.ts'
import type { Damage } from './damage.ts'
import { damageFile } from './damage.ts'
import { Promises } from './promises.ts'
import { reopen } from './reopen.ts'

const template = present(process.argv[2], 'the folder that is copied')
const notes = readFileSync(present(process.argv[3], 'the notes'), 'utf8').trim().split('\n')
const scratch = present(process.argv[4], 'the folder for copies')

const promises = new Promises()
for (const line of notes) promises.add(line)

for await (const line of createInterface({ input: process.stdin })) {
  const damage: Damage = JSON.parse(line)
  const folder = mkdtempSync(join(scratch, 'copy-'))
  cpSync(template, folder, { recursive: true })
  damageFile(folder, damage)
  // so that what is read comes from the log, and not from what was made of it before the damage
  if (damage.file.startsWith('log/')) rmSync(join(folder, 'state'), { recursive: true })
  const result = await reopen(folder, promises)
  rmSync(folder, { recursive: true })
  process.stdout.write(`${JSON.stringify(result)}\n`)
}

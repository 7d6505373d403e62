// What a process did to the files below a folder, read from the record that strace made of it: writes
// with their bytes, truncations, syncs, and what happened to names. A call has a beginning and an end
// in the order of the record; between them it may have happened or not.
//
//   strace -f -y -xx -s 16777216 -e trace=<TRACED> -o RECORD …

import { createReadStream } from 'node:fs'
import { dirname } from 'node:path'
import { createInterface } from 'node:readline'
import { assert, present } from '../../lib/assert.ts'

/** The calls that must be recorded. */
export const TRACED =
  'openat,lseek,write,writev,pwrite64,pwritev,ftruncate,fallocate,fsync,fdatasync,rename,renameat2,unlink,unlinkat,mkdir'

/** Arguments for strace, to be followed by the program. */
export function recorder(recordPath: string): string[] {
  const strings = ['-y', '-xx', '-s', String(16 * 1_024 * 1_024)]
  return [
    'strace',
    '-f',
    '-qq',
    '--seccomp-bpf',
    ...strings,
    '-e',
    `trace=${TRACED}`,
    '-o',
    recordPath
  ]
}

export type DiskChange =
  | {
      readonly kind: 'write'
      readonly path: string
      readonly offset: number
      readonly bytes: Uint8Array
      /** durable when the call has returned: the file was opened with O_DSYNC */
      readonly isSynced: boolean
    }
  | { readonly kind: 'resize'; readonly path: string; readonly size: number }
  | { readonly kind: 'sync'; readonly path: string }
  | { readonly kind: 'create'; readonly path: string; readonly isFolder: boolean }
  | { readonly kind: 'rename'; readonly path: string; readonly to: string }
  | { readonly kind: 'remove'; readonly path: string }
  /** text written to the file of the notes */
  | { readonly kind: 'note'; readonly path: string; readonly text: string }

export type DiskCall = DiskChange & {
  /** positions in the record */
  readonly begin: number
  readonly end: number
}

interface Call {
  readonly name: string
  readonly args: string
  readonly result: number
  readonly resultText: string
  readonly begin: number
  readonly end: number
}

/** Reads the record; what happens outside `root` and to other files than `notesPath` is left out. */
export async function readTrace(
  recordPath: string,
  { root, notesPath }: { readonly root: string; readonly notesPath: string }
): Promise<DiskCall[]> {
  const reader = new TraceReader(root, notesPath)
  for await (const call of callsOf(recordPath)) reader.add(call)
  return reader.calls
}

async function* callsOf(recordPath: string): AsyncIterable<Call> {
  const begun = new Map<string, { readonly text: string; readonly begin: number }>()
  let position = 0
  for await (const line of createInterface({ input: createReadStream(recordPath, 'latin1') })) {
    position++
    const [, thread = '', rest = ''] = /^(\d+) +(.*)$/.exec(line) ?? []
    const unfinished = / <unfinished \.\.\.>$/.exec(rest)
    if (unfinished !== null) {
      begun.set(thread, { text: rest.slice(0, unfinished.index), begin: position })
      continue
    }
    const resumed = /^<\.\.\. \w+ resumed>/.exec(rest)
    const before = resumed === null ? undefined : begun.get(thread)
    const text = `${before?.text ?? ''}${resumed === null ? rest : rest.slice(resumed[0].length)}`
    const call = callOf(text, { begin: before?.begin ?? position, end: position })
    if (call !== null) yield call
  }
}

function callOf(text: string, span: { readonly begin: number; readonly end: number }): Call | null {
  const open = text.indexOf('(')
  const close = text.lastIndexOf(') ')
  const result = /^\) += (-?\d+)(.*)$/.exec(text.slice(close))
  if (open === -1 || close === -1 || result === null) return null
  const [, code = '', resultText = ''] = result
  const args = text.slice(open + 1, close)
  return { name: text.slice(0, open), args, result: Number(code), resultText, ...span }
}

/** Knows what each descriptor is open on. */
class TraceReader {
  readonly calls: DiskCall[] = []
  readonly #root: string
  readonly #notesPath: string
  /** by number: where the next `write` goes, and whether it is synced */
  readonly #open = new Map<number, { position: number; readonly isSynced: boolean }>()
  readonly #existing = new Set<string>()

  constructor(root: string, notesPath: string) {
    this.#root = root
    this.#notesPath = notesPath
  }

  add(call: Call): void {
    if (call.result < 0) return
    if (call.name === 'openat') this.#opened(call)
    else if (WRITES.has(call.name)) this.#written(call)
    else this.#other(call)
  }

  #push(call: Call, change: DiskChange): void {
    const { begin, end } = call
    // the folder's own name is durable when the one above it was synced
    const isAbove = change.kind === 'sync' && this.#root.startsWith(`${change.path}/`)
    if (isAbove || this.#isOurs(change.path)) this.calls.push({ ...change, begin, end })
  }

  #opened(call: Call): void {
    const path = pathIn(call.resultText)
    if (path === null) return
    this.#open.set(call.result, { position: 0, isSynced: call.args.includes('O_DSYNC') })
    if (!this.#isOurs(path)) return
    const isNew = call.args.includes('O_CREAT') && !this.#existing.has(path)
    if (isNew) this.#created(call, path, false)
    else if (call.args.includes('O_TRUNC')) this.#push(call, { kind: 'resize', path, size: 0 })
  }

  #created(call: Call, path: string, isFolder: boolean): void {
    this.#existing.add(path)
    this.#push(call, { kind: 'create', path, isFolder })
  }

  #written(call: Call): void {
    const [descriptor, path] = descriptorOf(call.args)
    if (path === null || !this.#isOurs(path)) return
    const bytes = bytesIn(call.args).subarray(0, call.result)
    if (path === this.#notesPath) {
      const text = new TextDecoder().decode(bytes)
      this.#push(call, { kind: 'note', path, text })
      return
    }
    const open = present(this.#open.get(descriptor), `descriptor ${descriptor} is known`)
    const isAtOffset = call.name.startsWith('p')
    const offset = isAtOffset ? lastNumber(call.args) : open.position
    if (!isAtOffset) open.position += bytes.byteLength
    assert(bytes.byteLength === call.result, `the record has all bytes of a ${call.name}`)
    this.#push(call, { kind: 'write', path, offset, bytes, isSynced: open.isSynced })
  }

  #other(call: Call): void {
    const [descriptor, path] = descriptorOf(call.args)
    if (path !== null) {
      const open = this.#open.get(descriptor)
      if (call.name === 'lseek' && open !== undefined) open.position = call.result
      if (call.name.endsWith('sync')) this.#push(call, { kind: 'sync', path })
      if (call.name === 'ftruncate') {
        this.#push(call, { kind: 'resize', path, size: lastNumber(call.args) })
      }
      assert(call.name !== 'fallocate' || !this.#isOurs(path), 'nothing here allocates ahead')
      return
    }
    const [from = '', to = ''] = stringsIn(call.args)
    if (call.name === 'mkdir') this.#created(call, from, true)
    if (call.name.startsWith('unlink')) {
      this.#existing.delete(from)
      this.#push(call, { kind: 'remove', path: from })
    }
    if (call.name.startsWith('rename')) {
      this.#existing.delete(from)
      this.#existing.add(to)
      this.#push(call, { kind: 'rename', path: from, to })
    }
  }

  #isOurs(path: string): boolean {
    return path === this.#notesPath || path === this.#root || path.startsWith(`${this.#root}/`)
  }
}

const WRITES: ReadonlySet<string> = new Set(['write', 'writev', 'pwrite64', 'pwritev'])

/** The first argument, when it is a descriptor: its number, and the path that it is open on. */
function descriptorOf(args: string): readonly [number, string | null] {
  const found = /^(\d+)<([^>]*)>/.exec(args)
  if (found === null) return [-1, null]
  const path = textOf(found[2] ?? '')
  return [Number(found[1]), path.startsWith('/') ? path : null]
}

function pathIn(result: string): string | null {
  const found = /^<([^>]*)>/.exec(result)
  return found === null ? null : textOf(found[1] ?? '')
}

function stringsIn(args: string): string[] {
  return [...args.matchAll(/"([^"]*)"/g)].map(([, hex = '']) => textOf(hex))
}

function bytesIn(args: string): Uint8Array {
  const parts = [...args.matchAll(/"([^"]*)"/g)].map(([, hex = '']) => bytesOfHex(hex))
  return Buffer.concat(parts)
}

function lastNumber(args: string): number {
  return Number(/(-?\d+)\s*$/.exec(args)?.[1])
}

/** `\x61\x62` */
function bytesOfHex(hex: string): Uint8Array {
  return Buffer.from(hex.replaceAll('\\x', ''), 'hex')
}

function textOf(hex: string): string {
  return hex.includes('\\x') ? new TextDecoder().decode(bytesOfHex(hex)) : hex
}

/** The folder whose entry a name is. */
export function folderOf(path: string): string {
  return dirname(path)
}

// `aspen kv put|get|del|scan`: keys are text of the command line, values are bytes both ways.

import { bytesOf } from '../encoding.ts'
import { present } from '../assert.ts'
import { ConfigError, EXIT, KeyValueStoreError } from '../errors.ts'
import { DEFAULT_SCAN_LIMIT, MAX_INDEX, MAX_SCAN_LIMIT, MAX_VALUE_SIZE } from '../limits.ts'
import { itemJson, keyJson } from '../service/kv-json.ts'
import type { Item, ScanResult } from '../service/key-value-store.ts'
import type { ReadOptions } from '../service/node-api.ts'
import type { Expectation } from '../service/write-request.ts'
import { withNode } from './connect.ts'
import type { Flags } from './flags.ts'
import type { Invocation } from './invocation.ts'
import { requestTimeoutMs } from './invocation.ts'
import { readInput } from './input.ts'
import type { Output } from './output.ts'
import { renderTable } from './table.ts'
import { displayBytes, plural } from './text.ts'

export async function put(invocation: Invocation): Promise<number> {
  const { args, flags, host, output } = invocation
  const timeoutMs = requestTimeoutMs(invocation)
  const expected = expectationOf(flags)
  const key = keyOf(args['key'])
  const typed = present(args['value'], 'value')
  const value =
    typed === '-' ? await readInput(host.stdin, MAX_VALUE_SIZE, valueTooLarge) : bytesOf(typed)
  const written = await withNode(invocation, (node) =>
    node.kv.put(key, value, { timeoutMs, ...expected })
  )
  const { revision } = written
  output.result({
    human: (style) => [`${style.colour('green', 'ok')}  revision ${revision}`],
    json: () => ({
      ...keyJson(key),
      revision,
      previous_revision: written.previousRevision
    }),
    quiet: () => String(revision)
  })
  return EXIT.ok
}

export async function get(invocation: Invocation): Promise<number> {
  const { args, flags, output } = invocation
  const key = keyOf(args['key'])
  const got = await withNode(invocation, (node) => node.kv.get(key, readOptionsOf(invocation)))
  if (got.item === null) {
    const shown = displayBytes(key)
    return output.failureLine(
      `not found: ${shown}`,
      new KeyValueStoreError({ code: 'NOT_FOUND', message: `there is no key '${shown}'` })
    )
  }
  const { item, revision, consistency } = got
  if (output.isJson) {
    output.result({
      human: () => [],
      json: () => ({ ...itemJson(item, item.revision), consistency, applied_index: revision }),
      quiet: () => null
    })
    return EXIT.ok
  }
  output.raw(item.value)
  if (flags.isSet('meta')) noteMeta(output, item, `${consistency}, read at revision ${revision}`)
  return EXIT.ok
}

export async function del(invocation: Invocation): Promise<number> {
  const { args, flags, output } = invocation
  const timeoutMs = requestTimeoutMs(invocation)
  const expected = expectationOf(flags)
  const key = keyOf(args['key'])
  const written = await withNode(invocation, (node) =>
    node.kv.delete({ key, ...expected }, { timeoutMs })
  )
  const { revision, previousRevision: previous, deleted } = written
  output.result({
    human: (style) =>
      previous === 0
        ? [`not found: ${displayBytes(key)}`]
        : [`${style.colour('green', 'deleted')}  revision ${revision}`],
    json: () => ({
      ...keyJson(key),
      deleted,
      revision,
      previous_revision: previous
    }),
    quiet: () => (previous === 0 ? '0' : '1')
  })
  return EXIT.ok
}

export async function scan(invocation: Invocation): Promise<number> {
  const { args, flags, output } = invocation
  const after = flags.text('after')
  const limit = flags.integer('limit', { min: 1, max: MAX_SCAN_LIMIT }) ?? DEFAULT_SCAN_LIMIT
  const request = {
    prefix: bytesOf(args['prefix'] ?? ''),
    limit,
    ...(after === null ? {} : { after: bytesOf(after) })
  }
  const page = await withNode(invocation, (node) =>
    node.kv.scan(request, readOptionsOf(invocation))
  )
  const isKeysOnly = flags.isSet('keysOnly')
  output.result({
    human: (style) => {
      if (isKeysOnly) return page.items.map((item) => displayBytes(item.key))
      if (page.items.length === 0) return []
      const rows = page.items.map((item) => [
        displayBytes(item.key),
        displayBytes(item.value),
        String(item.revision)
      ])
      return renderTable(SCAN_COLUMNS, rows, style)
    },
    json: () => ({
      items: page.items.map((item) =>
        isKeysOnly ? keyJson(item.key) : itemJson(item, item.revision)
      ),
      has_more: page.hasMore,
      revision: page.revision,
      consistency: page.consistency
    }),
    quiet: () =>
      page.items.length === 0 ? null : page.items.map((item) => displayBytes(item.key)).join('\n')
  })
  if (!output.isJson) noteScan(output, page)
  return EXIT.ok
}

const SCAN_COLUMNS = [{ title: 'KEY' }, { title: 'VALUE' }, { title: 'REVISION', isNumber: true }]

function noteScan(output: Output, page: ScanResult): void {
  const last = page.items.at(-1)
  const how = page.consistency === 'stale' ? ' (stale)' : ''
  const more =
    page.hasMore && last !== undefined ? `; more with --after '${displayBytes(last.key)}'` : ''
  const line = `${plural(page.items.length, 'key')} at revision ${page.revision}${how}${more}`
  output.note(output.errorStyle.dim(line))
}

function noteMeta(output: Output, item: Item, how: string): void {
  const { revision, createRevision, version } = item
  const line = `revision ${revision}  created ${createRevision}  version ${version}  (${how})`
  output.note(output.errorStyle.dim(line))
}

function readOptionsOf(invocation: Invocation): ReadOptions {
  return {
    timeoutMs: requestTimeoutMs(invocation),
    consistency: invocation.flags.isSet('stale') ? 'stale' : 'linearizable'
  }
}

function expectationOf(flags: Flags): Expectation {
  const ifRevision = flags.integer('ifRevision', { min: 1, max: MAX_INDEX })
  if (!flags.isSet('ifAbsent')) return ifRevision === null ? {} : { ifRevision }
  if (ifRevision === null) return { ifAbsent: true }
  throw new ConfigError({
    code: 'CONFIG_INVALID',
    message: '--if-revision and --if-absent exclude each other'
  })
}

function valueTooLarge(): KeyValueStoreError {
  return new KeyValueStoreError({
    code: 'VALUE_TOO_LARGE',
    message: `the value has more than ${MAX_VALUE_SIZE} bytes`
  })
}

function keyOf(typed: string | undefined): Uint8Array {
  const text = present(typed, 'key')
  if (text !== '') return bytesOf(text)
  throw new ConfigError({ code: 'CONFIG_INVALID', message: 'a key has at least one byte' })
}

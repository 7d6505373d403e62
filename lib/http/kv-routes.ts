// `/kv/*`: reads and writes in the seed's shapes (service/kv-documents.ts).

import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Static } from '@sinclair/typebox'
import { present } from '../assert.ts'
import { bytesOf } from '../encoding.ts'
import { DEFAULT_REQUEST_TIMEOUT_MS, MAX_HTTP_BATCH_BODY_BYTES } from '../limits.ts'
import { ErrorBody } from '../service/documents.ts'
import { notFoundError } from '../service/key-value-store.ts'
import type { CommandJson, DeleteAnswer, ReadAnswer, ScanBody } from '../service/kv-documents.ts'
import * as documents from '../service/kv-documents.ts'
import {
  bytesFrom,
  changesFrom,
  itemJson,
  keyFrom,
  keyJson,
  valueJson
} from '../service/kv-json.ts'
import type {
  KeyValueApi,
  ReadOptions,
  Scanned,
  ScanOptions,
  Written
} from '../service/node-api.ts'
import type { Change, ChangeSet } from '../state-machine/command.ts'
import type { App } from './app.ts'
import { placeOf } from './app.ts'
import { Pieces } from './send-pieces.ts'
import { Slice } from './slice.ts'

export function addKeyValueRoutes(app: App, kv: KeyValueApi): void {
  addRead(app, kv)
  addWrite(app, kv)
  addDelete(app, kv)
  addScan(app, kv)
}

function addRead(app: App, kv: KeyValueApi): void {
  const schema = {
    summary: 'Read a key',
    tags: ['kv'],
    body: documents.ReadRequest,
    response: { 200: documents.ReadAnswer, default: ErrorBody }
  }
  app.route({
    method: 'POST',
    url: '/kv/read',
    schema,
    handler: async (request): Promise<ReadAnswer> => {
      const { body } = request
      const key = keyFrom(body)
      const options = optionsFrom(body)
      const got = await placeOf(request).run(options.timeoutMs, () => kv.get(key, options))
      if (got.item === null) throw notFoundError(key, got)
      const { item, consistency } = got
      return {
        ...keyJson(item.key),
        ...valueJson(item.value),
        revision: item.modRevision,
        create_revision: item.createRevision,
        version: item.version,
        consistency,
        applied_index: got.revision,
        leader_contact_ms: got.leaderContactMs
      }
    }
  })
}

function addWrite(app: App, kv: KeyValueApi): void {
  const schema = {
    summary: 'Write: one command, one revision',
    tags: ['kv'],
    body: documents.WriteBody,
    response: { 200: documents.WriteAnswer, default: ErrorBody }
  }
  app.route({
    method: 'POST',
    url: '/kv/write',
    schema,
    bodyLimit: MAX_HTTP_BATCH_BODY_BYTES,
    handler: async (request, reply) => {
      const { timeoutMs } = optionsFrom(request.body)
      const command = await commandFrom(request.body.command)
      const written = await placeOf(request).run(timeoutMs, () => kv.write(command, { timeoutMs }))
      return sendWritten(request, reply, written)
    }
  })
}

function addDelete(app: App, kv: KeyValueApi): void {
  const schema = {
    summary: 'Delete a key',
    tags: ['kv'],
    body: documents.DeleteBody,
    response: { 200: documents.DeleteAnswer, default: ErrorBody }
  }
  app.route({
    method: 'POST',
    url: '/kv/delete',
    schema,
    handler: async (request): Promise<DeleteAnswer> => {
      const { body } = request
      const { timeoutMs } = optionsFrom(body)
      const command = await commandFrom({ Delete: withoutTimeout(body) })
      const written = await placeOf(request).run(timeoutMs, () => kv.write(command, { timeoutMs }))
      const [change] = written.changes
      return {
        ...keyJson(keyFrom(body)),
        deleted: present(change, 'the result of the delete').previousRevision > 0,
        revision: written.revision
      }
    }
  })
}

function addScan(app: App, kv: KeyValueApi): void {
  const schema = {
    summary: 'A page of keys and values by prefix; all of them without one',
    tags: ['kv'],
    body: documents.ScanBody,
    response: { 200: documents.ScanAnswer, default: ErrorBody }
  }
  app.route({
    method: 'POST',
    url: '/kv/scan',
    schema,
    config: { mayLackBody: true },
    handler: async (request, reply) => {
      const { body } = request
      const scan = scanFrom(body)
      const options = optionsFrom(body)
      const page = await placeOf(request).run(options.timeoutMs, () => kv.scan(scan, options))
      return sendPage(reply, page)
    }
  })
}

/** The fields that all requests share, with their defaults. */
function optionsFrom(body: {
  readonly consistency?: Static<typeof documents.Consistency>
  readonly timeout_ms?: number
  readonly max_age_ms?: number
}): ReadOptions & { readonly timeoutMs: number } {
  return {
    consistency: body.consistency ?? 'linearizable',
    timeoutMs: body.timeout_ms ?? DEFAULT_REQUEST_TIMEOUT_MS,
    ...(body.max_age_ms !== undefined && { maxAgeMs: body.max_age_ms })
  }
}

async function commandFrom(json: CommandJson): Promise<ChangeSet> {
  const slice = new Slice()
  const changes: Change[] = []
  let isLong = false
  for (const change of changesFrom(json)) {
    changes.push(change)
    if (!slice.isSpent()) continue
    isLong = true
    await slice.next()
  }
  // what becomes of a large one next, its entry, is a turn's work by itself
  if (isLong) await slice.next()
  return { changes }
}

/** The command is echoed as it came, byte for byte: writing a full batch out again would cost 30 ms. */
function sendWritten(request: FastifyRequest, reply: FastifyReply, written: Written): FastifyReply {
  const { bytes, spans } = present(request.document, 'the body of a write')
  const { from, to } = present(spans.get('command'), 'the command of a write')
  const changes = written.changes.map((change) => ({ previous_revision: change.previousRevision }))
  const pieces = new Pieces()
  pieces.addText('{"command":')
  pieces.addBytes(bytes.subarray(from, to))
  pieces.addText(`,"revision":${written.revision},"changes":${JSON.stringify(changes)}}`)
  return pieces.send(reply)
}

function withoutTimeout(body: documents.DeleteBody): documents.DeleteJson {
  const { timeout_ms: _timeout, ...fields } = body
  return fields
}

function scanFrom(body: ScanBody): ScanOptions {
  const { prefix, prefix_b64, after, after_b64, limit } = body
  const isAll = prefix === undefined && prefix_b64 === undefined
  const hasAfter = after !== undefined || after_b64 !== undefined
  return {
    prefix: isAll ? bytesOf('') : bytesFrom('prefix', prefix, prefix_b64),
    ...(hasAfter && { after: bytesFrom('after', after, after_b64) }),
    ...(limit !== undefined && { limit })
  }
}

export async function sendPage(reply: FastifyReply, page: Scanned): Promise<FastifyReply> {
  const slice = new Slice()
  const pieces = new Pieces()
  // reading the page was this turn's work
  await slice.next()
  let separator = '{"items":['
  for (const item of page.items) {
    pieces.addText(separator + JSON.stringify(itemJson(item, item.modRevision)))
    separator = ','
    if (slice.isSpent()) await slice.next()
  }
  if (page.items.length === 0) pieces.addText(separator)
  const { hasMore, revision, consistency, leaderContactMs } = page
  const meta = { revision, consistency, leader_contact_ms: leaderContactMs }
  const rest = JSON.stringify({ has_more: hasMore, ...meta })
  pieces.addText(`],${rest.slice(1)}`)
  return pieces.send(reply)
}

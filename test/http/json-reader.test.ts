// The sliced JSON reader agrees with JSON.parse, and refuses what it must.

import test from 'brittle'
import fc from 'fast-check'
import { AspenError } from '../../lib/errors.ts'
import { readJson } from '../../lib/http/json-reader.ts'
import { Slice } from '../../lib/http/slice.ts'
import { MAX_JSON_DEPTH, MAX_JSON_VALUES, MAX_VALUE_SIZE } from '../../lib/limits.ts'

/** A slice that is spent at each question: the reader stops wherever it can. */
class ShortSlice extends Slice {
  override isSpent(): boolean {
    return true
  }

  override async next(): Promise<void> {}
}

async function read(text: string | Buffer): Promise<unknown> {
  return (await readJson(Buffer.from(text), new ShortSlice())).value
}

async function codeOfRead(text: string | Buffer): Promise<string> {
  try {
    await read(text)
    return 'none'
  } catch (error) {
    return error instanceof AspenError ? error.code : String(error)
  }
}

/** What JSON.parse says; undefined when it refuses. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const SEED = Number(process.env['ASPEN_TEST_SEED'] ?? Date.now() % 1_000_000)
const RUNS = { seed: SEED, numRuns: 2_000 }

test('what JSON.stringify wrote is read as JSON.parse reads it', async (t) => {
  t.comment(`seed ${SEED}`)
  const json = fc.jsonValue({ maxDepth: MAX_JSON_DEPTH - 1 })
  const property = fc.asyncProperty(
    json,
    fc.constantFrom(0, 1, 2, '\t\r\n '),
    async (value, space) => {
      const text = JSON.stringify(value, null, space)
      if (text.includes('"__proto__"')) return
      const mine = JSON.stringify(await read(text))
      if (mine !== JSON.stringify(JSON.parse(text))) throw new Error(`${text} became ${mine}`)
    }
  )
  await fc.assert(property, RUNS)
  t.pass('all alike')
})

test('damaged JSON is refused when JSON.parse refuses it, and otherwise read alike', async (t) => {
  t.comment(`seed ${SEED}`)
  const base =
    '{"command":{"SetMulti":{"pairs":[["a","\\u00e9\\n"],{"key":"b","value":""}]}},"n":[-1.5e3,true,null]}'
  const damage = fc.record({
    at: fc.nat(base.length),
    cut: fc.nat(4),
    put: fc.constantFrom(
      '',
      '"',
      '\\',
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      ' ',
      '0',
      '-',
      '.',
      'e',
      'x',
      '\u0001'
    )
  })
  const property = fc.asyncProperty(damage, async ({ at, cut, put }) => {
    const text = base.slice(0, at) + put + base.slice(at + cut)
    const wanted = parsed(text)
    const code = await codeOfRead(text)
    if (code === 'none') {
      if (JSON.stringify(await read(text)) !== JSON.stringify(wanted)) throw new Error(text)
    } else if (code !== 'INVALID_REQUEST' || (wanted !== undefined && !hasTwin(text))) {
      throw new Error(`${code} for ${text}`)
    }
  })
  await fc.assert(property, RUNS)
  t.pass('all alike')
})

/** Whether a damage made two fields of one object equal, which only JSON.parse takes. */
function hasTwin(text: string): boolean {
  return JSON.stringify(parsed(text)).split('":').length < text.split('":').length
}

test('any bytes end in a value or in a refusal', async (t) => {
  t.comment(`seed ${SEED}`)
  const property = fc.asyncProperty(fc.uint8Array({ maxLength: 64 }), async (bytes) => {
    const code = await codeOfRead(Buffer.from(bytes))
    if (!['none', 'INVALID_REQUEST'].includes(code)) throw new Error(code)
  })
  await fc.assert(property, RUNS)
  t.pass('all of them')
})

test('strings that span many steps are read whole', async (t) => {
  const values = [
    'x'.repeat(200_000),
    '\\"'.repeat(100_000),
    'ж\u{1f332}"'.repeat(50_000),
    `${'a'.repeat(65_534)}\\\\b`
  ]
  for (const value of values) {
    t.ok((await read(JSON.stringify({ value, after: 1 }))) !== undefined)
    const again = await read(JSON.stringify([value]))
    t.ok(Array.isArray(again) && again[0] === value, `${value.length} characters`)
  }
})

test('the fields of the outermost object are found in the bytes', async (t) => {
  const text = ' { "a" : {"a":[1 ]} , "b":"x","c" :12 }'
  const { bytes, spans } = await readJson(Buffer.from(text), new ShortSlice())
  const parts = [...spans].map(([name, { from, to }]) => [name, bytes.toString('utf8', from, to)])
  t.alike(parts, [
    ['a', '{"a":[1 ]}'],
    ['b', '"x"'],
    ['c', '12']
  ])
})

test('depth, count and length are bounded exactly', async (t) => {
  const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth)
  t.is(await codeOfRead(nested(MAX_JSON_DEPTH)), 'none')
  t.is(await codeOfRead(nested(MAX_JSON_DEPTH + 1)), 'INVALID_REQUEST')
  const list = (count: number): string => `[${Array.from({ length: count }, () => '0').join()}]`
  t.is(await codeOfRead(list(MAX_JSON_VALUES - 1)), 'none')
  t.is(await codeOfRead(list(MAX_JSON_VALUES)), 'BATCH_TOO_LARGE')
  t.is(await codeOfRead(`"${'\\u0001'.repeat(MAX_VALUE_SIZE)}"`), 'none')
  t.is(await codeOfRead(`"${'\\u0001'.repeat(MAX_VALUE_SIZE)}ab"`), 'VALUE_TOO_LARGE')
})

test('what would be altered without a word is refused', async (t) => {
  for (const text of [
    '{"a":1,"a":1}',
    '{"__proto__":1}',
    '"\\ud800"',
    '"\\udc00\\ud800"',
    '\ufeff{}'
  ]) {
    t.is(await codeOfRead(text), 'INVALID_REQUEST', text)
  }
  t.is(await codeOfRead(Buffer.of(0x22, 0xff, 0x22)), 'INVALID_REQUEST')
  t.is(await read('"\\ud83c\\udf32"'), '\u{1f332}')
})

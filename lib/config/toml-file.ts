// A TOML file as a layer of the configuration. Read strictly: what is no setting, has another type or is
// out of its range is refused with its line, and nothing of the file counts then.

import { closeSync, openSync, readSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { ParseError, parseTOML } from 'toml-eslint-parser'
import type { AST } from 'toml-eslint-parser'
import { textOf } from '../encoding.ts'
import { ConfigError, systemReason } from '../errors.ts'
import { MAX_CONFIG_FILE_BYTES } from '../config-limits.ts'
import { closest } from './closest.ts'
import { fieldsOf, invalidValue, placeOf, put, shortened } from './layers.ts'
import type { Layer, LayerDraft, Origin } from './layers.ts'
import { refuseRetiredValue, retiredError } from './refusals.ts'
import { CONFIG_KEYS, isConfigKey, SETTINGS } from './schema.ts'
import type { ConfigKey, Setting } from './schema.ts'
import { shownToml } from './values.ts'
import type { TomlValue } from './values.ts'

export interface ConfigFile {
  /** absolute */
  readonly path: string
  readonly layer: Layer
}

/** Reads and checks the file; relative paths in it begin at its folder. @throws ConfigError CONFIG_INVALID */
export function readConfigFile(path: string): ConfigFile {
  const text = textOfFile(path)
  const layer: LayerDraft = { ...layerIn(path, text) }
  for (const key of ['data_dir', 'ticket_file'] as const) {
    const given = layer[key]
    if (given !== undefined) layer[key] = { ...given, value: resolve(dirname(path), given.value) }
  }
  return { path, layer }
}

function layerIn(path: string, text: string): Layer {
  try {
    return layerOf(parse(path, text), { path, text })
  } catch (error) {
    // of the stack: the parser calls itself for each level, and so do we
    if (error instanceof RangeError) throw unreadable(path, 'it is nested too deep', error)
    throw error
  }
}

function textOfFile(path: string): string {
  const bytes = bytesOfFile(path)
  const text = textOf(bytes)
  if (text === null) throw unreadable(path, 'it is not UTF-8 text')
  return text.startsWith(BYTE_ORDER_MARK) ? text.slice(1) : text
}

const BYTE_ORDER_MARK = '\ufeff'

/** One byte more than allowed is read, so that a file that grows meanwhile is seen too. */
function bytesOfFile(path: string): Uint8Array {
  try {
    // to open a pipe would wait for whoever writes it
    const found = statSync(path)
    if (!found.isFile())
      throw unreadable(path, found.isDirectory() ? 'it is a folder' : 'it is no file')
    const descriptor = openSync(path, 'r')
    try {
      return readAll(descriptor, path)
    } finally {
      closeSync(descriptor)
    }
  } catch (error) {
    if (error instanceof ConfigError) throw error
    throw unreadable(path, systemReason(error), error)
  }
}

function readAll(descriptor: number, path: string): Uint8Array {
  const buffer = Buffer.alloc(MAX_CONFIG_FILE_BYTES + 1)
  let length = 0
  for (let count = 1; count > 0 && length < buffer.length; length += count) {
    count = readSync(descriptor, buffer, length, buffer.length - length, null)
  }
  if (length > MAX_CONFIG_FILE_BYTES) throw unreadable(path, TOO_LARGE)
  return new Uint8Array(buffer.subarray(0, length))
}

const TOO_LARGE = `it has more than ${MAX_CONFIG_FILE_BYTES} bytes`

function parse(path: string, text: string): AST.TOMLTopLevelTable {
  try {
    return parseTOML(text, { tomlVersion: '1.0' }).body[0]
  } catch (error) {
    if (!(error instanceof ParseError)) throw error
    const { lineNumber: line, column, message } = error
    const reason = message.charAt(0).toLowerCase() + message.slice(1).replace(/\.$/, '')
    throw new ConfigError(
      {
        code: 'CONFIG_INVALID',
        message: `line ${line} of ${path} is not TOML: ${reason} (column ${column + 1})`,
        fields: { layer: 'file', where: path, line }
      },
      { cause: error }
    )
  }
}

/** Every key of the file with its whole path, in order. */
function* keyValues(
  body: readonly (AST.TOMLKeyValue | AST.TOMLTable)[],
  above: readonly string[]
): Generator<{ readonly path: readonly string[]; readonly node: AST.TOMLKeyValue }> {
  for (const node of body) {
    const path = [...above, ...node.key.keys.map(nameOf)]
    if (node.type === 'TOMLTable') yield* keyValues(node.body, path)
    else if (isTableOfSettings(node.value, path)) yield* keyValues(node.value.body, path)
    else yield { path, node }
  }
}

/** An empty one, and one in the place of a value, is looked at as a value. */
function isTableOfSettings(
  value: AST.TOMLContentNode,
  path: readonly string[]
): value is AST.TOMLInlineTable {
  return value.type === 'TOMLInlineTable' && value.body.length > 0 && !isConfigKey(path.join('.'))
}

/** A name with a dot in it is one name: in quotes it is no path of two. */
function nameOf(key: AST.TOMLBare | AST.TOMLQuoted): string {
  if (key.type === 'TOMLBare') return key.name
  return /^[A-Za-z0-9_-]+$/.test(key.value) ? key.value : JSON.stringify(key.value)
}

interface Source {
  readonly path: string
  readonly text: string
}

function layerOf(top: AST.TOMLTopLevelTable, { path: file, text }: Source): Layer {
  const layer: LayerDraft = {}
  refuseTables(top, file)
  for (const { path, node } of keyValues(top.body, [])) {
    const key = path.join('.')
    const origin = originAt(node, file)
    if (!isConfigKey(key)) throw unknownKey(key, origin)
    read(layer, key, { value: tomlValue(node.value, text), origin })
  }
  return layer
}

/** An empty table of a name that nobody knows would go unnoticed; a list of tables is none of ours. */
function refuseTables(top: AST.TOMLTopLevelTable, file: string): void {
  for (const node of top.body) {
    if (node.type !== 'TOMLTable') continue
    const name = node.key.keys.map(nameOf).join('.')
    const isKnown = CONFIG_KEYS.some((key) => key.startsWith(`${name}.`))
    if (isConfigKey(name)) {
      const { inToml: expected } = SETTINGS[name].kind
      throw invalidValue(name, originAt(node, file), { expected, got: 'a table' })
    }
    if (!isKnown || node.kind === 'array') throw unknownKey(name, originAt(node, file))
  }
}

function read(
  layer: LayerDraft,
  key: ConfigKey,
  { value: toml, origin }: { readonly value: TomlValue; readonly origin: Origin }
): void {
  const { kind }: Setting<unknown> = SETTINGS[key]
  const value = kind.fromToml(toml)
  if (value !== null) {
    put(layer, key, { value, origin })
    return
  }
  if (toml.type === 'string') refuseRetiredValue(key, toml.value, placeOf(key, origin))
  throw invalidValue(key, origin, { expected: kind.inToml, got: shownToml(toml) })
}

function originAt(node: AST.TOMLKeyValue | AST.TOMLTable, file: string): Origin {
  const { line } = node.loc.start
  return { layer: 'file', where: `line ${line} of ${file}`, line }
}

function tomlValue(node: AST.TOMLContentNode, text: string): TomlValue {
  const written = text.slice(...node.range)
  if (node.type === 'TOMLArray') {
    return { type: 'array', items: node.elements.map((item) => tomlValue(item, text)) }
  }
  if (node.type === 'TOMLInlineTable') return { type: 'other', text: 'a table' }
  switch (node.kind) {
    case 'string':
      return { type: 'string', value: node.value }
    case 'integer':
      return { type: 'integer', value: node.value, text: String(node.bigint) }
    case 'boolean':
      return { type: 'boolean', value: node.value }
    case 'float':
      return { type: 'other', text: written }
    case 'offset-date-time':
    case 'local-date-time':
    case 'local-date':
    case 'local-time':
      return { type: 'other', text: written }
  }
}

function unknownKey(key: string, origin: Origin): ConfigError {
  const retired = retiredError('file', key, origin.where)
  if (retired !== null) return retired
  const like = closest(key, CONFIG_KEYS) ?? closest(key.replaceAll('-', '_'), CONFIG_KEYS)
  return new ConfigError({
    code: 'CONFIG_INVALID',
    message: `${shortened(key)} in ${origin.where} is no setting${like === null ? '' : `: did you mean ${like}?`}`,
    hint: "'aspen config template' lists the settings",
    fields: fieldsOf(shortened(key), origin)
  })
}

function unreadable(path: string, why: string, cause?: unknown): ConfigError {
  return new ConfigError(
    {
      code: 'CONFIG_INVALID',
      message: `the configuration file ${path} cannot be read: ${why}`,
      fields: { layer: 'file', where: path }
    },
    { cause }
  )
}

// What is wrong with a request that does not fit the schema of its route, in words for a person: the field, and
// what it takes. The compiler of the schemas says where and which kind of thing; the rest is said by the schema.

import type { TSchema } from '@sinclair/typebox'
import type { ValueError } from '@sinclair/typebox/errors'
import { ValueErrorType } from '@sinclair/typebox/errors'
import { isRecord } from '../encoding.ts'

/** Of what the errors name, the one that says most. `part` is fastify's word for where the values stood. */
export function schemaRefusal(errors: Iterable<ValueError>, part: string): string {
  let first: ValueError | null = null
  for (const error of errors) {
    if (error.type === ValueErrorType.ObjectAdditionalProperties) return unknownField(error, part)
    first ??= error
  }
  return first === null ? `${WHOLES.get(part) ?? part} is not valid` : problem(first, part)
}

function unknownField({ path, schema }: ValueError, part: string): string {
  const names = fieldsOf(path)
  const [what, takes] =
    part === 'querystring'
      ? ['parameter', 'the route']
      : ['field', nameOf(names.slice(0, -1), part)]
  const known = propertiesOf(schema)
  const has = known.length === 0 ? `${takes} takes none` : `${takes} takes ${known.join(', ')}`
  return `unknown ${what} ${JSON.stringify(names.at(-1) ?? '')}: ${has}`
}

function problem({ type, path, schema, message }: ValueError, part: string): string {
  const names = fieldsOf(path)
  const name = nameOf(names, part)
  if (type === ValueErrorType.ObjectRequiredProperty) return `${name} is missing`
  if (type === ValueErrorType.ObjectMinProperties || type === ValueErrorType.ObjectMaxProperties) {
    return `${name} takes exactly one of ${propertiesOf(schema).join(', ')}`
  }
  const choices = choicesOf(schema)
  if (choices !== null) return `${name} takes one of: ${choices}`
  const isOfAKind = type === ValueErrorType.Union || type === ValueErrorType.StringPattern
  if (isOfAKind && schema.description !== undefined) return `${name} takes ${schema.description}`
  return `${name}: ${message.charAt(0).toLowerCase()}${message.slice(1)}`
}

/** `/command/Set/key` as `command.Set.key`; a whole body or query by what it is. */
function nameOf(names: readonly string[], part: string): string {
  return names.length === 0 ? (WHOLES.get(part) ?? part) : names.join('.')
}

function fieldsOf(path: string): readonly string[] {
  return path
    .split('/')
    .slice(1)
    .map((name) => name.replaceAll('~1', '/').replaceAll('~0', '~'))
}

function propertiesOf({ properties }: TSchema): readonly string[] {
  return isRecord(properties) ? Object.keys(properties) : []
}

/** The literals of a union of nothing else. */
function choicesOf({ anyOf }: TSchema): string | null {
  if (!Array.isArray(anyOf)) return null
  const literals = anyOf.flatMap((each: unknown) =>
    isRecord(each) && typeof each['const'] === 'string' ? [JSON.stringify(each['const'])] : []
  )
  return literals.length === anyOf.length ? literals.join(', ') : null
}

const WHOLES: ReadonlyMap<string, string> = new Map([
  ['body', 'the body'],
  ['querystring', 'the query']
])

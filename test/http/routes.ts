// All routes, as the description of the API names them; openapi.test.ts sees to it that it names all.

import { isRecord } from '../../lib/encoding.ts'
import { field, get } from './open-server.ts'
import type { Opened } from './open-server.ts'

export interface Route {
  readonly method: string
  /** with something in the place of each parameter */
  readonly path: string
  /** whether its request has a JSON body that must be there */
  readonly hasBody: boolean
  /** whether it answers without a token */
  readonly isOpen: boolean
}

export async function routesOf(opened: Opened): Promise<readonly Route[]> {
  const paths = field((await get(opened, '/openapi.json')).json, 'paths')
  const routes: Route[] = []
  for (const [template, item] of Object.entries(isRecord(paths) ? paths : {})) {
    for (const [name, operation] of Object.entries(isRecord(item) ? item : {})) {
      const method = name.toUpperCase()
      const path = template.replaceAll(/\{[^}]*\}/g, '00000001')
      const content = field(field(operation, 'requestBody'), 'content')
      const hasBody = field(content, 'application/json') !== undefined
      const security = field(operation, 'security')
      routes.push({
        method,
        path,
        hasBody,
        isOpen: Array.isArray(security) && security.length === 0
      })
    }
  }
  return routes
}

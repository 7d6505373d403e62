// The paths at which the seed had what stands elsewhere here: the same routes, deprecated in the
// description. One table.

import type { RouteOptions } from 'fastify'
import type { App } from './app.ts'

/** By the path of the route. */
const ALIASES: ReadonlyMap<string, string> = new Map([
  ['/cluster/init', '/init'],
  ['/cluster/add-learner', '/add-learner'],
  ['/cluster/change-membership', '/change-membership'],
  ['/kv/read', '/read'],
  ['/kv/write', '/write'],
  ['/admin/trigger-snapshot', '/trigger-snapshot'],
  ['/admin/checkpoint', '/admin/checkpoint-wal']
])

/** Before all routes: each one of the table is added a second time, under its alias. */
export function addAliases(app: App): void {
  app.addHook('onRoute', (route: RouteOptions) => {
    const url = ALIASES.get(route.url)
    if (url === undefined || route.config?.isOtherMethod === true) return
    const { method, handler, config, bodyLimit, schema } = route
    app.route({
      method,
      url,
      handler,
      ...(config !== undefined && { config }),
      ...(bodyLimit !== undefined && { bodyLimit }),
      schema: { ...schema, deprecated: true, summary: `The seed's path of ${route.url}` }
    })
  })
}

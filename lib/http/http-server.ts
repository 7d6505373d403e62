// The HTTP API of a node: the same routes on a Unix socket, where the file's permissions decide who
// may ask, and on TCP 127.0.0.1 behind a guard and a token. Start reading here; README.md has the
// routes, the limits and what was measured.

import type { Server } from 'node:http'
import { assert } from '../assert.ts'
import type { Timers } from '../clock.ts'
import { systemTimers } from '../clock.ts'
import type { NodeAdmin, NodeApi } from '../service/node-api.ts'
import { addAdminRoutes } from './admin-routes.ts'
import { addAliases } from './aliases.ts'
import type { App, AppParts } from './app.ts'
import { createApp, refuseOtherMethods } from './app.ts'
import { addBackupRoutes } from './backup-routes.ts'
import { addClusterRoutes } from './cluster-routes.ts'
import type { HttpLog } from './error-body.ts'
import { Exchanges } from './exchanges.ts'
import { ALL_ADDRESSES, ownHosts, tcpGuard } from './guard.ts'
import type { HttpLimits } from './http-limits.ts'
import { HTTP_LIMITS } from './http-limits.ts'
import { observeApp } from './http-observer.ts'
import type { HttpObserver } from './http-observer.ts'
import { InFlight } from './in-flight.ts'
import { addKeyValueRoutes } from './kv-routes.ts'
import { addOpenApiRoute, collectDescriptions, finishDescriptions } from './openapi.ts'
import { addRestRoutes } from './rest-routes.ts'
import type { TcpOptions } from './listen.ts'
import { listenOnPort, listenOnSocket } from './listen.ts'
import { addMetricsRoute } from './metrics-routes.ts'
import { addNodeRoutes } from './node-routes.ts'
import { addProbeRoutes } from './probe-routes.ts'

export interface HttpServerOptions {
  readonly api: NodeApi
  readonly admin: NodeAdmin
  /** at most 100 bytes; in a folder that only its owner may enter, whose lock the caller holds */
  readonly socketPath: string
  readonly tcp: TcpOptions
  /** the bearer token of the TCP side; at least 32 characters */
  readonly token: string
  readonly log: HttpLog
  /** nothing is counted when left out */
  readonly observer?: HttpObserver
  /** for tests; HTTP_LIMITS when left out */
  readonly limits?: Partial<HttpLimits>
  readonly timers?: Timers
}

export class HttpServer {
  readonly socketPath: string
  /** `http://<address>:<port>`, for programs on this machine */
  readonly url: string
  readonly #apps: readonly App[]
  readonly #draining: Draining
  readonly #inFlight: InFlight
  #closing: Promise<void> | null = null

  private constructor(place: Place, parts: ClosingParts & { readonly inFlight: InFlight }) {
    this.socketPath = place.socketPath
    const host = place.host === ALL_ADDRESSES ? '127.0.0.1' : place.host
    this.url = `http://${host}:${place.port}`
    this.#apps = parts.apps
    this.#draining = parts.draining
    this.#inFlight = parts.inFlight
  }

  /**
   * Listens on both; when either cannot, on neither.
   * @throws StorageError LOCKED, ConfigError DATA_DIR_UNUSABLE, TransportError PORT_IN_USE
   */
  static async open(options: HttpServerOptions): Promise<HttpServer> {
    const { socketPath, tcp, token } = options
    assert(Buffer.byteLength(socketPath) <= MAX_SOCKET_PATH, 'the path fits a socket address')
    const limits = { ...HTTP_LIMITS, ...options.limits }
    const timers = options.timers ?? systemTimers
    const draining = { isOn: false, delayMs: limits.drainMs, timers }
    const isDraining = (): boolean => draining.isOn
    const inFlight = new InFlight(limits, timers)
    const leader = (): Promise<number | null> => options.api.cluster.getLeader()
    const exchanges = new Exchanges()
    const shared = { inFlight, exchanges, limits, log: options.log, isDraining, leader }
    let port = 0
    const guard = tcpGuard(token, () => ownHosts(tcp.host, port))
    const { app: onSocket } = await buildApp(options, { ...shared, guard: null })
    const { app: onTcp } = await buildApp(options, { ...shared, guard })
    const parts = { apps: [onSocket, onTcp], draining, inFlight }
    try {
      await listenOnSocket(onSocket.server, socketPath)
      port = await listenOnPort(onTcp.server, tcp)
    } catch (error) {
      await closeApps(parts)
      throw error
    }
    return new HttpServer({ socketPath, host: tcp.host, port }, parts)
  }

  /** Requests that are being worked on. */
  get inFlightCount(): number {
    return this.#inFlight.count
  }

  /**
   * Stops listening, answers 503 to what still comes, lets requests in progress end for HTTP_DRAIN_MS
   * and cuts the rest. May be called twice.
   */
  close(): Promise<void> {
    this.#closing ??= closeApps({ apps: this.#apps, draining: this.#draining })
    return this.#closing
  }
}

/** Bytes of a Unix socket's path; the system takes 103 to 107. */
const MAX_SOCKET_PATH = 100

interface Place {
  readonly socketPath: string
  readonly host: string
  readonly port: number
}

interface Draining {
  isOn: boolean
  readonly delayMs: number
  readonly timers: Timers
}

interface ClosingParts {
  readonly apps: readonly App[]
  readonly draining: Draining
}

/** One listener's app with all routes, not listening; `routes` has the methods of each path. */
export async function buildApp(
  { api, admin, observer }: Pick<HttpServerOptions, 'api' | 'admin' | 'observer'>,
  parts: AppParts
): Promise<{ readonly app: App; readonly routes: ReadonlyMap<string, readonly string[]> }> {
  const app = createApp(parts)
  const routes = new Map<string, string[]>()
  app.addHook('onRoute', ({ url, method }) => {
    const methods = [method].flat()
    routes.set(url, [...(routes.get(url) ?? []), ...methods])
  })
  await collectDescriptions(app)
  if (observer !== undefined) observeApp(app, observer)
  addAliases(app)
  addOpenApiRoute(app)
  addKeyValueRoutes(app, api.kv)
  addRestRoutes(app, api.kv)
  addClusterRoutes(app, api)
  addAdminRoutes(app, admin)
  addNodeRoutes(app, api)
  addProbeRoutes(app, api)
  addBackupRoutes(app, api)
  addMetricsRoute(app, api)
  const own = new Map(routes)
  refuseOtherMethods(app, own)
  await app.ready()
  finishDescriptions(app)
  return { app, routes: own }
}

async function closeApps({ apps, draining }: ClosingParts): Promise<void> {
  draining.isOn = true
  const servers: readonly Server[] = apps.map((app) => app.server)
  const cut = draining.timers.start(draining.delayMs, () => {
    for (const server of servers) server.closeAllConnections()
  })
  await Promise.all(apps.map((app) => app.close()))
  cut.cancel()
}

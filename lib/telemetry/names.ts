import type { LoginReason, RotationReason } from '../events/events.js';
import type { PoolEvent } from '../events/pool-events.js';
import type { ConnectionStatus, LeaseStatus, SecretStatus } from '../events/status.js';

/** Name of the meter and of the tracer. */
export const SCOPE = 'nestjs-vault';

/** One metric. Names, units and attributes are a contract: `docs/metrics-and-traces.md` lists them. */
export interface MetricName {
  readonly name: string;
  readonly kind: 'counter' | 'histogram' | 'gauge';
  readonly unit: string;
  readonly attributes: readonly string[];
  readonly meaning: string;
}

export const METRICS = {
  requestDuration: {
    name: 'nestjs_vault.request.duration',
    kind: 'histogram',
    unit: 's',
    attributes: ['connection', 'operation', 'http.response.status_code', 'error.type'],
    meaning: 'Requests to the server, with the time until their caller had the answer or the error.',
  },
  requestResends: {
    name: 'nestjs_vault.request.resends',
    kind: 'counter',
    unit: '{resend}',
    attributes: ['connection', 'reason'],
    meaning: 'Times that the transport sent a request again before its caller had an answer.',
  },
  logins: {
    name: 'nestjs_vault.logins',
    kind: 'counter',
    unit: '{login}',
    attributes: ['connection', 'reason'],
    meaning: 'Logins that made the token in use.',
  },
  rotations: {
    name: 'nestjs_vault.rotations',
    kind: 'counter',
    unit: '{rotation}',
    attributes: ['connection', 'reason'],
    meaning: 'New credentials that took the place of earlier ones.',
  },
  rotationDuration: {
    name: 'nestjs_vault.rotation.duration',
    kind: 'histogram',
    unit: 's',
    attributes: ['connection', 'reason', 'error.type'],
    meaning:
      'Attempts to issue credentials, with all waiting, a login included. The reason of a first issue is `first`.',
  },
  leasesIssued: {
    name: 'nestjs_vault.leases.issued',
    kind: 'counter',
    unit: '{lease}',
    attributes: ['connection'],
    meaning: 'Leases in the answers of the server.',
  },
  leasesRenewed: {
    name: 'nestjs_vault.leases.renewed',
    kind: 'counter',
    unit: '{lease}',
    attributes: ['connection'],
    meaning: 'Renewals that extended a lease.',
  },
  leasesExpired: {
    name: 'nestjs_vault.leases.expired',
    kind: 'counter',
    unit: '{lease}',
    attributes: ['connection'],
    meaning: 'Times that consumers were without valid credentials.',
  },
  retries: {
    name: 'nestjs_vault.retries',
    kind: 'counter',
    unit: '{attempt}',
    attributes: ['connection', 'kind', 'error.type'],
    meaning: 'Attempts of the connection that failed, and are repeated.',
  },
  poolEvents: {
    name: 'nestjs_vault.pool.events',
    kind: 'counter',
    unit: '{event}',
    attributes: ['connection', 'driver', 'type'],
    meaning: 'Events of pools. `drain-timeout` counts connections.',
  },
  leases: {
    name: 'nestjs_vault.leases',
    kind: 'gauge',
    unit: '{lease}',
    attributes: ['connection', 'state'],
    meaning: 'Leased secrets by state.',
  },
  leasesSuperseded: {
    name: 'nestjs_vault.leases.superseded',
    kind: 'gauge',
    unit: '{lease}',
    attributes: ['connection'],
    meaning: 'Earlier leases that are held, or have not ended yet.',
  },
  leaseTimeToExpiry: {
    name: 'nestjs_vault.lease.time_to_expiry',
    kind: 'gauge',
    unit: 's',
    attributes: ['connection', 'path'],
    meaning:
      'Time until the lease or its token ends, the least of each path. 0 if it has expired; absent if there is none yet, or no end; 1000000000 once the path is released or the connection closed.',
  },
  tokenTimeToExpiry: {
    name: 'nestjs_vault.token.time_to_expiry',
    kind: 'gauge',
    unit: 's',
    attributes: ['connection'],
    meaning:
      'Time until the token ends. 0 if it has expired; absent if there is none yet, or no end; 1000000000 once the connection is closed.',
  },
  leaseFailures: {
    name: 'nestjs_vault.lease.failures',
    kind: 'gauge',
    unit: '{attempt}',
    attributes: ['connection', 'path', 'error.type'],
    meaning:
      'Attempts in a row that failed to renew or replace the lease, the most of each path. 0 has no error.type.',
  },
  tokenFailures: {
    name: 'nestjs_vault.token.failures',
    kind: 'gauge',
    unit: '{attempt}',
    attributes: ['connection', 'error.type'],
    meaning: 'Attempts in a row that failed to log in, or to renew the token. 0 has no error.type.',
  },
  secrets: {
    name: 'nestjs_vault.secrets',
    kind: 'gauge',
    unit: '{secret}',
    attributes: ['connection', 'state'],
    meaning: 'Watched KV secrets and folders by state.',
  },
  health: {
    name: 'nestjs_vault.health',
    kind: 'gauge',
    unit: '{connection}',
    attributes: ['connection', 'state'],
    meaning: '1 for the state of the connection, 0 for the others.',
  },
  serverReachable: {
    name: 'nestjs_vault.server.reachable',
    kind: 'gauge',
    unit: '{connection}',
    attributes: ['connection'],
    meaning: '0 while no request gets an answer of a working server; otherwise 1.',
  },
  poolConnections: {
    name: 'nestjs_vault.pool.connections',
    kind: 'gauge',
    unit: '{connection}',
    attributes: ['connection', 'driver', 'path', 'generation'],
    meaning: 'Open connections of pools: of the `current` credentials, and of `superseded` ones.',
  },
  poolDrains: {
    name: 'nestjs_vault.pool.drains',
    kind: 'gauge',
    unit: '{drain}',
    attributes: ['connection', 'driver', 'path'],
    meaning: 'Earlier credentials whose connections may finish their work.',
  },
} as const satisfies Readonly<Record<string, MetricName>>;

/** Upper bounds in seconds: from a KV read in the same network to a login that waits for a person. */
export const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/** Values of attributes, each reported from the start, also with 0: an alert sees the first change. */
export const VALUES = {
  loginReason: all<LoginReason>({
    start: 0,
    'max-ttl': 0,
    'not-renewable': 0,
    'renewal-failing': 0,
    'token-lost': 0,
    expired: 0,
    uses: 0,
    source: 0,
  }),
  rotationReason: all<RotationReason>({
    'max-ttl': 0,
    'not-renewable': 0,
    token: 0,
    'lease-lost': 0,
    expired: 0,
    'renewal-failing': 0,
    rejected: 0,
    server: 0,
  }),
  leaseState: all<LeaseStatus['state']>({ pending: 0, valid: 0, degraded: 0, expired: 0 }),
  secretState: all<SecretStatus['state']>({ pending: 0, valid: 0, degraded: 0, gone: 0 }),
  health: all<ConnectionStatus['health']>({ up: 0, degraded: 0, down: 0 }),
  poolEvent: all<PoolEvent['type']>({
    rotated: 0,
    'verification-failed': 0,
    refused: 0,
    'drain-timeout': 0,
    warning: 0,
  }),
} as const;

/** The path that stands for all paths beyond the limit. */
export const OTHER_PATH = 'other';

/** Attributes of spans. Those of OpenTelemetry's conventions have their names from there. */
export const SPAN = {
  connection: 'nestjs_vault.connection',
  operation: 'nestjs_vault.operation',
  requestId: 'nestjs_vault.request_id',
  cached: 'nestjs_vault.cached',
  path: 'nestjs_vault.path',
  reason: 'nestjs_vault.reason',
  serial: 'nestjs_vault.serial',
  errorType: 'error.type',
  method: 'http.request.method',
  resends: 'http.request.resend_count',
  status: 'http.response.status_code',
  template: 'url.template',
  address: 'server.address',
  port: 'server.port',
} as const;

/** All members of a union; the compiler refuses a list that lacks one. */
function all<K extends string>(values: Readonly<Record<K, 0>>): readonly K[] {
  return Object.keys(values) as K[];
}

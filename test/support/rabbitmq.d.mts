import type { OpenBaoServer, Provisioned, ProvisionOptions } from './servers.mjs';

export interface RabbitMqServer {
  readonly host: string;
  readonly port: number;
  readonly superuser: string;
  readonly password: string;
  /** The address of the management API; OpenBao uses it. */
  readonly management: string;
  readonly pid: number;
  readonly output: string;
  /** A request to the management API, below `/api/`, as the superuser. */
  api: (method: string, path: string, body?: unknown) => Promise<unknown>;
  pause: () => Promise<void>;
  resume: () => Promise<void>;
  kill: () => Promise<void>;
  /** Kills the server, and starts it on the same port with its stored data. */
  restart: () => Promise<void>;
  stop: () => Promise<void>;
}

export interface RabbitMqProvisionOptions extends ProvisionOptions {
  /** Default 'app'. */
  role?: string;
  /** TTLs of all leases of the mount; default '3s' and '6s'. */
  ttl?: string;
  maxTtl?: string;
  /** JSON: the permissions of a user. Default: everything in `/`. */
  vhosts?: string;
}

export function rabbitMqAvailable(): { ok: true } | { ok: false; reason: string };
export function startRabbitMq(options?: { port?: number }): Promise<RabbitMqServer>;
export function provisionRabbitMq(
  bao: OpenBaoServer,
  rabbit: RabbitMqServer,
  options?: RabbitMqProvisionOptions,
): Promise<Provisioned>;
export function usersInRabbitMq(rabbit: RabbitMqServer): Promise<string[]>;

import type { Maybe, Result } from '../server/model.js';
import type { ServerContext } from '../server/server-context.js';
import type { Expirable } from '../server/server-time.js';
import { listKeys } from './list-keys.js';
import { RotationSchedule } from './rotation-schedule.js';
import { type DatabasePlugin, newPassword, runSql } from './sql.js';
import { secondsField } from '../server/ttl.js';
import { collected, notFound, Refusal } from '../server/refusal.js';
import { list, text } from '../server/fields.js';
import type { Route } from '../server/route.js';

/** Parts of the server that this engine uses. */
type Server = Pick<ServerContext, 'time' | 'database' | 'vault'>;

interface StaticRole extends Expirable {
  name: string;
  body: Record<string, unknown>;
  username: string;
  password: string;
  rotation: Rotation;
  /** Milliseconds of the server. */
  rotatedAt: number;
  /** Time of the next rotation; `expires` is the next attempt. */
  due: number;
}

/** Rotation of a role: a period in seconds, or a schedule. */
type Rotation =
  | { period: number }
  | {
      text: string;
      schedule: RotationSchedule;
      /** Seconds after a scheduled time in which a failed rotation is retried; 0: until the next time. */
      window: number;
    };

/** Interval at which the server checks for due roles, counted from the mount of the engine. */
const TICK = 5_000;
/** After a failed rotation the server skips one check. */
const AFTER_FAILURE = 2 * TICK;
const MIN_WINDOW = 3_600;

/** Static roles: database users whose passwords the server rotates. */
export class StaticRoles {
  readonly routes: readonly Route[] = [
    [['read'], /^static-creds\/([^/]+)$/, (_, name = '') => this.#credentials(name)],
    [['update'], /^rotate-role\/([^/]+)$/, (_, name = '') => this.#rotateNow(name)],
    [['list'], /^static-roles\/?$/, () => ({ data: { keys: listKeys(this.#roles.keys(), '') } })],
    [['read'], /^static-roles\/([^/]+)$/, (_, name = '') => this.#read(name)],
    [['update'], /^static-roles\/([^/]+)$/, ({ body }, name = '') => this.#write(name, body)],
    [['delete'], /^static-roles\/([^/]+)$/, (_, name = '') => this.#delete(name)],
  ];
  readonly #server: Server;
  readonly #mountedAt: number;
  readonly #roles = new Map<string, StaticRole>();

  readonly #plugin: (database: string) => DatabasePlugin;

  /** @param plugin finds the plugin of a connection to a database */
  constructor(server: Server, plugin: (database: string) => DatabasePlugin) {
    this.#server = server;
    this.#plugin = plugin;
    this.#mountedAt = server.time.now;
  }

  has(name: string): boolean {
    return this.#roles.has(name);
  }

  #credentials(name: string): Result {
    const role = this.#roles.get(name);
    if (!role) throw new Refusal(400, `unknown role: ${name}`);
    const { now } = this.#server.time;
    // With a schedule, the TTL counts to the next scheduled time, whether the last rotation succeeded or not.
    const next =
      'period' in role.rotation ? nextTime(role.rotation, role.rotatedAt) : nextTime(role.rotation, now);
    return {
      data: {
        last_vault_rotation: this.#server.time.date(role.rotatedAt),
        password: role.password,
        ...rotationFields(role.rotation),
        ttl: Math.max(0, Math.round((next - now) / 1000)),
        username: role.username,
      },
    };
  }

  #read(name: string): Result {
    const role = this.#roles.get(name);
    if (!role) throw notFound();
    return {
      data: {
        credential_type: 'password',
        db_name: text(role.body['db_name']),
        last_vault_rotation: this.#server.time.date(role.rotatedAt),
        ...rotationFields(role.rotation),
        rotation_statements: list(role.body['rotation_statements']),
        ...(this.#server.vault && { skip_import_rotation: false }),
        username: role.username,
      },
    };
  }

  #write(name: string, body: Record<string, unknown>): Maybe<void> {
    const known = this.#roles.get(name);
    const rotation = rotationOf(body, known?.rotation, this.#server.vault);
    if (known) {
      known.body = { ...known.body, ...body };
      known.rotation = rotation;
      return this.#schedule(known);
    }
    const role: StaticRole = {
      name,
      body,
      username: text(body['username']),
      password: '',
      rotation,
      rotatedAt: 0,
      due: Infinity,
      expires: Infinity,
      ended: false,
      queued: Infinity,
      onExpired: () => this.#rotateDue(role),
    };
    this.#roles.set(name, role);
    return this.#rotateNow(name);
  }

  #delete(name: string): void {
    const role = this.#roles.get(name);
    if (role) role.ended = true;
    this.#roles.delete(name);
  }

  #rotateNow(name: string): Maybe<void> {
    const role = this.#roles.get(name);
    if (!role) throw new Refusal(400, 'no static role found for role name');
    const rotating = this.#rotate(role, this.#server.time.now);
    return rotating?.catch((error: unknown) => {
      throw new Refusal(500, collected((error as Error).message));
    });
  }

  /** Rotates a due role; if the database fails, the server retries until the end of the rotation window. */
  #rotateDue(role: StaticRole): void {
    const { rotation, due, expires } = role;
    const window = 'period' in rotation ? 0 : rotation.window;
    if (window > 0 && expires >= due + window * 1000)
      return this.#attemptAt(role, nextTime(rotation, expires));
    this.#rotate(role, expires)?.catch(() => {
      role.expires = Math.max(expires, this.#server.time.now) + AFTER_FAILURE;
      this.#server.time.expireAt(role.expires, role);
    });
  }

  #rotate(role: StaticRole, at: number): Promise<void> | undefined {
    const own = list(role.body['rotation_statements']);
    const { username } = role;
    const password = newPassword();
    const done = () => {
      role.password = password;
      role.rotatedAt = at;
      this.#server.database.users.set(username, { password, expires: () => Infinity });
      this.#schedule(role);
    };
    const database = text(role.body['db_name']);
    const statements = own.length > 0 ? own : this.#plugin(database).rotation;
    const running = runSql(
      this.#server,
      { database, role: role.name, kind: 'rotation', statements },
      username,
      { password },
    );
    if (!running) done();
    return running?.then(done);
  }

  /** Schedules the next rotation. It runs at the check after its due time, so the TTL is 0 in between. */
  #schedule(role: StaticRole): void {
    this.#attemptAt(role, nextTime(role.rotation, role.rotatedAt));
  }

  #attemptAt(role: StaticRole, due: number): void {
    role.due = due;
    role.expires = this.#mountedAt + Math.ceil((due - this.#mountedAt) / TICK) * TICK;
    this.#server.time.expireAt(role.expires, role);
  }
}

function nextTime(rotation: Rotation, after: number): number {
  return 'period' in rotation ? after + rotation.period * 1000 : rotation.schedule.next(after);
}

function rotationFields(rotation: Rotation): Record<string, unknown> {
  if ('period' in rotation) return { rotation_period: rotation.period };
  const { text: rotation_schedule, window } = rotation;
  return { rotation_schedule, ...(window > 0 && { rotation_window: window }) };
}

/** Reads the rotation of a role. HashiCorp Vault has schedules; OpenBao ignores their fields. */
function rotationOf(body: Record<string, unknown>, known: Rotation | undefined, vault: boolean): Rotation {
  const period = secondsField(body, 'rotation_period');
  const expression = vault ? text(body['rotation_schedule']) : '';
  const window = vault ? secondsField(body, 'rotation_window') : 0;
  if (expression && period)
    throw new Refusal(
      400,
      'mutually exclusive fields rotation_period and rotation_schedule were both specified; only one of them can be provided',
    );
  if (window && period) throw new Refusal(400, 'rotation_window is invalid with use of rotation_period');
  if (period > 0 && period < TICK / 1000)
    throw new Refusal(400, `rotation_period must be ${TICK / 1000} seconds or more`);
  if (period) return { period };
  if (expression)
    return { text: expression, schedule: parseSchedule(expression), window: checkWindow(window) };
  if (known) return known;
  throw new Refusal(
    400,
    vault
      ? 'one of rotation_schedule or rotation_period must be provided to create a static account'
      : 'rotation_period is required to create static accounts',
  );
}

// The server formats both errors with more arguments than the format has verbs; Go appends them as EXTRA.
function parseSchedule(schedule: string): RotationSchedule {
  try {
    return new RotationSchedule(schedule);
  } catch (error) {
    const extra = `%!(EXTRA string=error, *errors.errorString=${(error as Error).message})`;
    throw new Refusal(400, `could not parse rotation_schedule${extra}`);
  }
}

function checkWindow(window: number): number {
  if (window === 0 || window >= MIN_WINDOW) return window;
  const extra = `%!(EXTRA string=error, *errors.errorString=rotation_window must be ${MIN_WINDOW} seconds or more)`;
  throw new Refusal(400, `rotation_window is invalid${extra}`);
}

import type { Maybe, Result } from '../server/model.js';
import type { ServerContext } from '../server/server-context.js';
import type { Expirable } from '../server/server-time.js';
import { listKeys } from './list-keys.js';
import { RotationSchedule } from './rotation-schedule.js';
import { newPassword, ROTATION, runSql } from './sql.js';
import { secondsField } from '../server/ttl.js';
import { collected, notFound, Refusal } from '../server/refusal.js';
import { list, text } from '../server/fields.js';
import type { Route } from '../server/route.js';

/** The parts of the server that it uses. */
type Server = Pick<ServerContext, 'time' | 'database' | 'vault'>;

interface StaticRole extends Expirable {
  body: Record<string, unknown>;
  username: string;
  password: string;
  rhythm: Rhythm;
  /** Milliseconds of the server. */
  rotatedAt: number;
  /** When the next rotation is due. */
  due: number;
}

/** When a role is rotated: each so many seconds, or by a schedule. */
type Rhythm =
  | { period: number }
  | {
      text: string;
      schedule: RotationSchedule;
      /** Seconds after a scheduled time in which a rotation that failed is tried again; 0: until the next one. */
      window: number;
    };

/** How often the server looks which roles are due, from when the engine was mounted. */
const TICK = 5_000;
/** After a rotation that failed the server looks at the next but one time. */
const AFTER_FAILURE = 2 * TICK;
const MIN_WINDOW = 3_600;

/** The database users whose passwords the server rotates. */
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

  constructor(server: Server) {
    this.#server = server;
    this.#mountedAt = server.time.now;
  }

  has(name: string): boolean {
    return this.#roles.has(name);
  }

  #credentials(name: string): Result {
    const role = this.#roles.get(name);
    if (!role) throw new Refusal(400, `unknown role: ${name}`);
    const { now } = this.#server.time;
    // A schedule counts to its next time, whether the last rotation was made or not.
    const next = 'period' in role.rhythm ? nextTime(role.rhythm, role.rotatedAt) : nextTime(role.rhythm, now);
    return {
      data: {
        last_vault_rotation: this.#server.time.date(role.rotatedAt),
        password: role.password,
        ...rhythmFields(role.rhythm),
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
        ...rhythmFields(role.rhythm),
        rotation_statements: list(role.body['rotation_statements']),
        ...(this.#server.vault && { skip_import_rotation: false }),
        username: role.username,
      },
    };
  }

  #write(name: string, body: Record<string, unknown>): Maybe<void> {
    const known = this.#roles.get(name);
    const rhythm = rhythmOf(body, known?.rhythm, this.#server.vault);
    if (known) {
      known.body = { ...known.body, ...body };
      known.rhythm = rhythm;
      return this.#schedule(known);
    }
    const role: StaticRole = {
      body,
      username: text(body['username']),
      password: '',
      rhythm,
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

  /** Where the database fails, the server tries again, until the window for it is over. */
  #rotateDue(role: StaticRole): void {
    const { rhythm, due, expires } = role;
    const window = 'period' in rhythm ? 0 : rhythm.window;
    if (window > 0 && expires >= due + window * 1000) return this.#tryAt(role, nextTime(rhythm, expires));
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
    const running = runSql(this.#server, own.length > 0 ? own : ROTATION, username, { password });
    if (!running) done();
    return running?.then(done);
  }

  /** A role that is due is rotated when the server looks next, so its TTL is 0 for a while. */
  #schedule(role: StaticRole): void {
    this.#tryAt(role, nextTime(role.rhythm, role.rotatedAt));
  }

  #tryAt(role: StaticRole, due: number): void {
    role.due = due;
    role.expires = this.#mountedAt + Math.ceil((due - this.#mountedAt) / TICK) * TICK;
    this.#server.time.expireAt(role.expires, role);
  }
}

function nextTime(rhythm: Rhythm, after: number): number {
  return 'period' in rhythm ? after + rhythm.period * 1000 : rhythm.schedule.next(after);
}

function rhythmFields(rhythm: Rhythm): Record<string, unknown> {
  if ('period' in rhythm) return { rotation_period: rhythm.period };
  const { text: rotation_schedule, window } = rhythm;
  return { rotation_schedule, ...(window > 0 && { rotation_window: window }) };
}

/** HashiCorp Vault knows schedules; OpenBao does not, and leaves their fields alone. */
function rhythmOf(body: Record<string, unknown>, known: Rhythm | undefined, vault: boolean): Rhythm {
  const period = secondsField(body, 'rotation_period');
  const written = vault ? text(body['rotation_schedule']) : '';
  const window = vault ? secondsField(body, 'rotation_window') : 0;
  if (written && period)
    throw new Refusal(
      400,
      'mutually exclusive fields rotation_period and rotation_schedule were both specified; only one of them can be provided',
    );
  if (window && period) throw new Refusal(400, 'rotation_window is invalid with use of rotation_period');
  if (period > 0 && period < TICK / 1000)
    throw new Refusal(400, `rotation_period must be ${TICK / 1000} seconds or more`);
  if (period) return { period };
  if (written) return { text: written, schedule: parsed(written), window: checkedWindow(window) };
  if (known) return known;
  throw new Refusal(
    400,
    vault
      ? 'one of rotation_schedule or rotation_period must be provided to create a static account'
      : 'rotation_period is required to create static accounts',
  );
}

// The server formats both errors with arguments that its texts have no place for.
function parsed(schedule: string): RotationSchedule {
  try {
    return new RotationSchedule(schedule);
  } catch (error) {
    const told = `%!(EXTRA string=error, *errors.errorString=${(error as Error).message})`;
    throw new Refusal(400, `could not parse rotation_schedule${told}`);
  }
}

function checkedWindow(window: number): number {
  if (window === 0 || window >= MIN_WINDOW) return window;
  const told = `%!(EXTRA string=error, *errors.errorString=rotation_window must be ${MIN_WINDOW} seconds or more)`;
  throw new Refusal(400, `rotation_window is invalid${told}`);
}

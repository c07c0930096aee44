import { systemClock } from '../clock/clock.js';
import { unknownOptions } from '../errors/unknown-options.js';
import { VaultError } from '../errors/vault-error.js';
import { Dashboard, type DashboardSource } from './dashboard.js';
import { JsonView, LineView, LiveView, type View } from './views.js';

/**
 * Options of {@link startDashboard}.
 *
 * @publicApi
 */
export interface DashboardOptions {
  /**
   * `live`: a block at the bottom of the terminal, which is painted again as time passes; `lines`: no block; `json`: each
   * event and each change of the status as a line of JSON on standard output, and all else that the process writes there on
   * standard error. @default `live` on a terminal with colours, otherwise `lines` (in a pipe, with NO_COLOR, TERM=dumb)
   */
  mode?: 'live' | 'lines' | 'json';
  /**
   * Also prints a line for each event that is no warning and no error, for an application whose logger shows only those.
   * @default false
   */
  events?: boolean;
  /** A line of the application's own, such as its counts: part of the block, otherwise printed every five seconds. */
  note?: () => string;
}

/** A process has one terminal, and may load the ESM and the CommonJS copy of this package. */
const RUNNING = Symbol.for('nestjs-vault.dashboard');
const shared = globalThis as { [RUNNING]?: boolean };

/**
 * Shows tokens, leases and pools in the terminal while the application works, for development: a bar for each, with its
 * end and its next step, below the log lines. It ends when the connections are closed. If the process ends before, the
 * last lines are what it leaves on the server. No values and no user names are shown, only paths.
 *
 * Log lines stay whole if they are written to `process.stdout` or `process.stderr`, as Nest's logger and `console` do.
 * pino does so only if it is created after the start of the dashboard, or has `process.stdout` as its destination.
 *
 * @example
 * const app = await NestFactory.create(AppModule);
 * if (process.stdout.isTTY) startDashboard(app.get(CredentialsService));
 *
 * @returns a function that ends it before
 * @throws VaultError `VAULT_CONFIG_INVALID`: an option is invalid, or this process shows a dashboard already
 * @publicApi
 */
export function startDashboard(credentials: DashboardSource, options: DashboardOptions = {}): () => void {
  check(credentials, options);
  const { note = () => '' } = options;
  let dashboard: Dashboard | undefined;
  const end = () => dashboard?.end();
  process.on('exit', end);
  shared[RUNNING] = true;
  dashboard = new Dashboard(credentials, viewOf(options), systemClock, note, () => {
    process.off('exit', end);
    Reflect.deleteProperty(globalThis, RUNNING);
  });
  return end;
}

function viewOf({ mode, events = false }: DashboardOptions): View {
  const { stdout, stderr } = process;
  const startedAt = systemClock.wall() - process.uptime() * 1_000;
  const usual = stdout.isTTY && stdout.hasColors() ? 'live' : 'lines';
  switch (mode ?? usual) {
    case 'live':
      return new LiveView(stdout, stderr.isTTY ? [stderr] : [], events, startedAt);
    case 'json':
      return jsonView();
    default:
      return new LineView((line) => stdout.write(`${line}\n`), events, startedAt);
  }
}

/** Standard output has lines of JSON only; what others write there goes to standard error. */
function jsonView(): View {
  const { stdout, stderr } = process;
  const before = Object.getOwnPropertyDescriptor(stdout, 'write');
  const write = stdout.write.bind(stdout);
  const diverted = stderr.write.bind(stderr);
  stdout.write = diverted;
  return new JsonView(
    (line) => void write(`${line}\n`),
    () => {
      // Another package may have taken over meanwhile.
      if (stdout.write !== diverted) return;
      if (before) Object.defineProperty(stdout, 'write', before);
      else Reflect.deleteProperty(stdout, 'write');
    },
  );
}

function check(credentials: Partial<DashboardSource> | undefined, options: DashboardOptions): void {
  const { status$, events$, recentEvents } = credentials ?? {};
  if (!status$ || !events$ || !recentEvents)
    throw invalid('The dashboard cannot start: its first argument is no CredentialsService.');
  const problems = unknownOptions('startDashboard', options, ['mode', 'events', 'note']);
  const { mode, note } = options;
  if (mode !== undefined && !['live', 'lines', 'json'].includes(mode))
    problems.push('`mode` is live, lines or json');
  if (note !== undefined && typeof note !== 'function') problems.push('`note` is a function');
  if (problems.length > 0) throw invalid(`The dashboard cannot start: ${problems.join('; ')}.`);
  if (shared[RUNNING]) throw invalid('This process shows a dashboard already.');
}

function invalid(message: string): VaultError {
  const hint =
    'Start one dashboard: `startDashboard(app.get(CredentialsService), options)`, see docs/dashboard.md.';
  return new VaultError({ code: 'VAULT_CONFIG_INVALID', message, hint });
}

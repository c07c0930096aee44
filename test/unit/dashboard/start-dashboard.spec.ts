import { CredentialsService } from 'nestjs-vault';
import { startDashboard, type DashboardOptions } from 'nestjs-vault/dashboard';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { SimulatedApplication } from '../../support/simulated-application.js';
import { TerminalScreen } from '../../support/terminal-screen.js';

let world: SimulatedApplication;
beforeEach(() => {
  world = new SimulatedApplication();
  world.vault.databaseRole('orders', { defaultTtl: '10s', maxTtl: '30s' });
});
afterEach(async () => {
  vi.restoreAllMocks();
  await world.apps.finish();
});

/** A running application, in a process whose standard output and standard error are `screen`. */
async function running(screen = new TerminalScreen(80)) {
  const app = await world.start({});
  const credentials = app.get(CredentialsService);
  const stderr = { columns: 80, isTTY: true, write: screen.write.bind(screen) };
  vi.spyOn(process, 'stdout', 'get').mockReturnValue(
    Object.assign(screen, { isTTY: true, hasColors: () => true }) as never,
  );
  vi.spyOn(process, 'stderr', 'get').mockReturnValue(stderr as never);
  return { app, credentials, screen, stderr };
}

/** What a dashboard changes in its process. */
const taken = () => ({
  exit: process.listenerCount('exit'),
  SIGCONT: process.listenerCount('SIGCONT'),
  stdout: Reflect.get(process.stdout, 'write') as unknown,
  stderr: Reflect.get(process.stderr, 'write') as unknown,
});

it('a wrong option is named, and nothing has begun', async () => {
  const { credentials, screen } = await running();
  const before = taken();
  const wrong = { mode: 'wide', note: 'text', colour: true } as unknown as DashboardOptions;
  expect(() => startDashboard(credentials, wrong)).toThrow(
    expect.objectContaining({
      code: 'VAULT_CONFIG_INVALID',
      message: expect.stringMatching(/ `colour`; `mode` is live, lines or json; `note` is a function\. /),
    }),
  );
  expect(taken()).toEqual(before);
  expect(screen.shown).toEqual(['']);
});

it('a process shows one dashboard at a time, and its end leaves the process as it was', async () => {
  const { credentials, screen } = await running();
  const before = taken();
  const end = startDashboard(credentials);
  expect(taken()).not.toEqual(before);
  expect(() => startDashboard(credentials)).toThrow('This process shows a dashboard already.');
  end();
  end();
  expect(taken()).toEqual(before);
  const again = startDashboard(credentials);
  end();
  expect(() => startDashboard(credentials)).toThrow('already');
  again();
  expect(taken()).toEqual(before);
  expect(screen.wraps).toBe(true);
});

it.each(['live', 'lines', 'json'] as const)(
  'a start that fails leaves the process as it was: %s',
  async (mode) => {
    const { credentials } = await running();
    const before = taken();
    expect(() => startDashboard(undefined as never, { mode })).toThrow();
    expect(taken()).toEqual(before);
    startDashboard(credentials, { mode })();
  },
);

it('after the end of the connections there is nothing to show, and nothing stays', async () => {
  const { app, credentials, screen } = await running();
  const before = taken();
  await world.clock.until(app.close());
  startDashboard(credentials);
  expect(taken()).toEqual(before);
  screen.write('a line of the shell\n');
  await new Promise((resolve) => setTimeout(resolve, 500));
  expect(screen.shown.slice(-2)).toEqual(['a line of the shell', '']);
});

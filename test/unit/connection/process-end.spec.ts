import { Test } from '@nestjs/testing';
import { appRole, VaultModule } from 'nestjs-vault';
import { connectVault } from 'nestjs-vault/core';
import { SimulatedVault, VaultTestingModule } from 'nestjs-vault/testing';
import { onExit } from 'signal-exit';
import { beforeEach, expect, it, vi } from 'vitest';
import { endWithProcess, endSignalHandling, type ClosedAtExit } from '../../../lib/connection/process-end.js';

// A failed file of this worker may have left an application open, with which these would share listeners.
beforeEach(() => Reflect.deleteProperty(globalThis, Symbol.for('nestjs-vault.process-end')));

const EVENTS = ['exit', 'beforeExit', 'SIGTERM', 'SIGINT', 'SIGHUP'] as const;
const listeners = () => EVENTS.map((event) => process.listenerCount(event));
/** The number of additional listeners: one for the end of the process, one for signals. */
const more = (before: number[]) => listeners().map((count, index) => count - (before[index] ?? 0));

const ending = (closed: string[] = []): ClosedAtExit => ({
  exitTimeout: 500,
  finalRequests: () => [],
  settled: () => Promise.resolve(),
  close: async (timeout) => void closed.push(`closed in ${timeout}`),
});

const application = (address = 'http://127.0.0.1:1', vault?: SimulatedVault) =>
  Test.createTestingModule({
    imports: [
      ...(vault ? [VaultTestingModule.forRoot({ vault })] : []),
      VaultModule.forRoot({
        address,
        auth: appRole({ roleId: 'r', secretId: 's' }),
        startup: { login: 'deferred' },
      }),
    ],
  }).compile();

it('100 applications share a listener for each event, and leave none behind', async () => {
  const before = listeners();
  const apps = await Promise.all(Array.from({ length: 100 }, () => application()));
  expect(more(before)).toEqual([1, 1, 1, 1, 1]);
  await Promise.all(apps.slice(1).map((app) => app.init()));
  // One application has not started yet.
  expect(more(before)).toEqual([1, 1, 1, 1, 1]);
  await apps[0]?.init();
  expect(more(before)).toEqual([1, 1, 0, 0, 0]);
  await Promise.all(apps.map((app) => app.close()));
  expect(more(before)).toEqual([0, 0, 0, 0, 0]);
});

it('an application on a simulated server has nothing to end at process exit', async () => {
  const before = listeners();
  const vault = new SimulatedVault();
  const inMemory = await application('https://vault.internal:8200', vault);
  // The blocked thread could not answer its own request.
  const listening = await application(await vault.listen());
  expect(more(before)).toEqual([0, 0, 0, 0, 0]);
  await Promise.all([inMemory.close(), listening.close()]);
  await vault.close();
});

it('connections that are open when the event loop is empty are closed within the time limit', async () => {
  const before = process.listeners('beforeExit');
  const closed: string[] = [];
  const done = endWithProcess(ending(closed), false);
  const [listener] = process.listeners('beforeExit').filter((one) => !before.includes(one));
  listener?.(0);
  expect(closed).toEqual(['closed in 500']);
  done();
  expect(process.listeners('beforeExit')).toEqual(before);
});

it('runs before the listeners of the application, one of which may call process.exit()', () => {
  const theirs = () => undefined;
  process.on('exit', theirs);
  const done = endWithProcess(ending(), false);
  expect(process.listeners('exit')[0]).not.toBe(theirs);
  expect(process.listeners('exit')).toContain(theirs);
  done();
  process.off('exit', theirs);
});

it('listens to signals during a start', () => {
  const before = listeners();
  const [one, other] = [ending(), ending()];
  const done = [endWithProcess(one, true), endWithProcess(other, true)];
  endSignalHandling(one);
  expect(more(before)).toEqual([1, 1, 1, 1, 1]);
  done[1]?.();
  expect(more(before)).toEqual([1, 1, 0, 0, 0]);
  done[0]?.();
  expect(more(before)).toEqual([0, 0, 0, 0, 0]);
});

const unopened = {
  address: 'http://127.0.0.1:1',
  auth: appRole({ roleId: 'r', secretId: 's' }),
  startup: { login: 'deferred' },
} as const;

it('without Nest, signals are left to the application after the start, unless nothing else ends the connection', async () => {
  const before = listeners();
  const one = await connectVault(unopened);
  expect(more(before)).toEqual([1, 1, 0, 0, 0]);
  const other = await connectVault(unopened, { endAtExit: true });
  expect(more(before)).toEqual([1, 1, 1, 1, 1]);
  await other.close();
  expect(more(before)).toEqual([1, 1, 0, 0, 0]);
  await one.close();
  expect(more(before)).toEqual([0, 0, 0, 0, 0]);
});

it('a signal ends the process beside signal-exit, which leaves the decision to other listeners', async () => {
  const kill = vi.spyOn(process, 'kill').mockReturnValue(true);
  const exit = vi.spyOn(process, 'exit').mockReturnValue(undefined as never);
  // A failed file of this worker may have left a listener, which would decide here.
  const left = process.listeners('SIGHUP');
  process.removeAllListeners('SIGHUP');
  const unload = onExit(() => undefined);
  const done = endWithProcess(ending(), true);
  try {
    process.emit('SIGHUP', 'SIGHUP');
    await vi.waitFor(() => expect(kill).toHaveBeenCalledWith(process.pid, 'SIGHUP'));
    // The first process of a container lives on after that.
    await vi.waitFor(() => expect(exit).toHaveBeenCalledExactlyOnceWith(129));
    kill.mockClear();
    const theirs = () => undefined;
    const again = endWithProcess(ending(), true);
    process.on('SIGHUP', theirs);
    process.emit('SIGHUP', 'SIGHUP');
    await new Promise(setImmediate);
    expect(kill).not.toHaveBeenCalled();
    process.off('SIGHUP', theirs);
    again();
  } finally {
    done();
    unload();
    kill.mockRestore();
    exit.mockRestore();
    for (const one of left) process.on('SIGHUP', one);
  }
});

import { AsyncLocalStorage, createHook } from 'node:async_hooks';
import { setImmediate as turn } from 'node:timers/promises';
import { expect, it } from 'vitest';
import type * as Background from '../../../lib/clock/background.js';

it('leaves no open handle for a test runner', async () => {
  const open = new Map<number, string>();
  // The check of jest --detectOpenHandles: promises and unreferenced timers are no handles.
  const init = (id: number, type: string) => void (/^(VAULT|bound-)/.test(type) && open.set(id, type));
  const hook = createHook({ init, destroy: (id) => void open.delete(id) }).enable();
  try {
    const again: string = '../../../lib/clock/background.js?loaded-again';
    const { background } = (await import(again)) as typeof Background;
    const stores = new AsyncLocalStorage<string>();
    const seen = stores.run('a request', () => background(() => stores.getStore()));
    expect(seen).toBeUndefined();
    expect(() => background(() => JSON.parse('{'))).toThrow(SyntaxError);
    await turn();
    await turn();
    expect([...open.values()]).toEqual([]);
  } finally {
    hook.disable();
  }
});

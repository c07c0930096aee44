import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { Output } from '../../../lib/cli/output.js';
import { unreadPipe } from '../../support/unread-pipe.mjs';

describe.runIf(process.platform === 'linux')('lines of a command', () => {
  const folder = mkdtempSync(join(tmpdir(), 'nestjs-vault-output-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  it('wait for a reader in their order, and stop nothing else', async () => {
    const pipe = unreadPipe(folder);
    pipe.fill();
    const output = new Output({ results: pipe.end, messages: pipe.end });
    const written = vi.fn();
    output.say('first');
    output.print('second');
    output.say('third '.repeat(20_000));
    const done = output.written().then(written);
    // This would hang in a write that blocks the thread.
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(written).not.toHaveBeenCalled();
    pipe.read();
    await done;
    output.say('later');
    await output.written();
    expect(pipe.close().trim()).toBe(`first\nsecond\n${'third '.repeat(20_000)}\nlater`);
  });

  it('are dropped if their reader has gone', async () => {
    const output = new Output({ results: 1_000_000, messages: 1_000_000 });
    output.say('to a file that is closed');
    await output.written();
  });
});

import { Console } from 'node:console';
import { Writable } from 'node:stream';
import { inspect } from 'node:util';
import { ConsoleLogger, Logger } from '@nestjs/common';
import { WinstonModule } from 'nest-winston';
import pino from 'pino';
import winston from 'winston';
import { afterAll, expect, it, vi } from 'vitest';
import type { TransportRequest } from '../../lib/client/transport.types.js';
import { NestLogger } from '../../lib/discovery/nest-logger.js';
import { logEvents } from '../../lib/events/log-events.js';
import type { VaultLogger } from '../../lib/events/logger.js';
import { AlteredVault } from '../support/altered-vault.js';
import { KeptLines } from '../support/log-lines.js';
import { Audit } from './audit.js';

const HOUR = 3_600_000;
const KV = 'canary-in-a-kv-secret';

const audit = new Audit('log lines');
afterAll(() => audit.count());

/** The loggers of the page, and all that they write. */
function loggers() {
  let text = '';
  const stream = new Writable({
    write(chunk, _encoding, done) {
      text += String(chunk);
      done();
    },
  });
  const spies = [process.stdout, process.stderr].map((to) =>
    vi.spyOn(to, 'write').mockImplementation((chunk) => (text += String(chunk)) !== ''),
  );
  const transports = [new winston.transports.Stream({ stream })];
  const nest = [
    new ConsoleLogger({ colors: false }),
    new ConsoleLogger({ json: true }),
    WinstonModule.createLogger({ level: 'debug', transports }),
  ];
  const own = new NestLogger();
  const all: VaultLogger[] = [
    new Console({ stdout: stream, stderr: stream }),
    pino({ level: 'debug' }, stream),
    winston.createLogger({ level: 'debug', transports }),
    ...nest.map((one): VaultLogger => {
      const through = (level: 'log' | 'warn' | 'error' | 'debug') => (line: object) => {
        Logger.overrideLogger(one);
        own[level](line);
      };
      return { log: through('log'), warn: through('warn'), error: through('error'), debug: through('debug') };
    }),
  ];
  return {
    all,
    end: () => {
      for (const spy of spies) spy.mockRestore();
      return text;
    },
  };
}

it('no logger writes a secret, through issue, rotation, trouble and end', async () => {
  const world = new AlteredVault();
  const sent: TransportRequest[] = [];
  world.between = (sender) => ({
    send: (request) => (sent.push(request), sender.send(request)),
    close: () => sender.close(),
  });
  const before = (Logger as unknown as { staticInstanceRef: ConsoleLogger }).staticInstanceRef;
  const { all, end } = loggers();
  const { connection, bus } = await world.live({
    ttl: 600,
    maxTtl: 3_600,
    tokenTtl: 1_200,
    tokenMaxTtl: 7_200,
  });
  for (const logger of all) logEvents(bus.events$, logger);
  const lines = new KeptLines(bus.events$);
  world.vault.kv().put('app', { key: KV });
  connection.leases.watch('database/creds/app', false).subscribe(({ data }) => {
    const { username, password } = data.reveal() as { username: string; password: string };
    audit.guard('a user', username);
    audit.guard('a password', password);
  });
  connection.secrets.watch('app', { every: 60_000 }).subscribe();
  await world.clock.advance(HOUR);
  world.vault.seal();
  await world.clock.advance(HOUR);
  world.vault.unseal();
  world.vault.answer(200, `{"errors": ["${KV}"]`, { times: 2, match: /leases/ });
  await world.clock.advance(HOUR);
  world.vault.revokeAllTokens();
  await world.clock.advance(HOUR);
  await world.clock.until(connection.close());
  const text = end();
  Logger.overrideLogger(before);
  for (const { headers, body } of sent) {
    audit.guard('a token', String(headers['x-vault-token'] ?? headers['X-Vault-Token'] ?? 'no-token'));
    const { secret_id } = JSON.parse(body ?? '{}') as { secret_id?: string };
    if (secret_id) audit.guard('a secret_id', secret_id);
  }
  audit.guard('a value of KV', KV);
  expect(new Set(lines.all.map(({ code }) => code)).size).toBeGreaterThan(8);
  expect(text.split('\n').length).toBeGreaterThanOrEqual(all.length * lines.all.length);
  audit.read('the output of all loggers', text);
  audit.read('the events', inspect(bus.recent, { depth: 9 }));
  audit.printAll(Object.fromEntries(lines.all.map((line) => [line.code, line])));
  audit.expectClean();
});

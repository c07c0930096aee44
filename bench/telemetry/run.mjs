// npm run bench:telemetry: the CPU of KV reads and of renewals with metrics and traces on and off, in one run, in turns,
// so that other load of the machine affects all alike. Metrics are collected, and spans are batched and dropped, as with
// an exporter that costs nothing.
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { ensureBuilt, ensureInstalled } from '../scripts/ensure-installed.mjs';
import { median, table } from './report.mjs';

await ensureInstalled();
await ensureBuilt();
const { MeterProvider, MetricReader } = await import('@opentelemetry/sdk-metrics');
const { BasicTracerProvider, BatchSpanProcessor } = await import('@opentelemetry/sdk-trace-base');
const { startOpenBao } = await import('../test/support/servers.mjs');
const { connectVault, token } = await import('../dist/esm/core.js');
const { VaultInstrumentation } = await import('../dist/esm/telemetry/index.js');

const ROUNDS = Number(process.argv[2] ?? 15);
const COUNT = 3_000;
const WIDTH = 20;

class Reader extends MetricReader {
  onShutdown = async () => undefined;
  onForceFlush = async () => undefined;
}
const reader = new Reader();
const meterProvider = new MeterProvider({ readers: [reader] });
const dropped = { export: (_spans, done) => done({ code: 0 }), shutdown: async () => undefined };
const tracerProvider = new BasicTracerProvider({
  spanProcessors: [new BatchSpanProcessor(dropped, { maxQueueSize: 10_000 })],
});
const noTraces = { getTracer: () => tracerless };
const { ProxyTracerProvider } = await import('@opentelemetry/api');
const tracerless = new ProxyTracerProvider().getTracer('none');

/** Each turns something on, and returns how to turn it off. */
const MODES = {
  nothing: () => () => undefined,
  'a subscriber': () => {
    let seen = 0;
    const listener = () => seen++;
    const names = ['event', 'request:start', 'request:end', 'task:asked', 'task:start', 'task:end'];
    for (const name of names) subscribe(`nestjs-vault:${name}`, listener);
    return () => {
      for (const name of names) unsubscribe(`nestjs-vault:${name}`, listener);
      if (seen === 0) throw new Error('no message was seen');
    };
  },
  metrics: () => {
    const one = new VaultInstrumentation({ meterProvider, tracerProvider: noTraces });
    return () => one.disable();
  },
  'metrics and traces': () => {
    const one = new VaultInstrumentation({ meterProvider, tracerProvider });
    return () => one.disable();
  },
};

const bao = await startOpenBao();
try {
  await bao.api('POST', 'secret/data/bench', {
    data: { apiKey: 'k'.repeat(32), url: 'https://example.test' },
  });
  const vault = await connectVault({ address: bao.address, auth: token(bao.rootToken), logger: false });
  // The renewal of a token is the request of a renewal, without the life cycle around it.
  const { body } = await bao.api('POST', 'auth/token/create', { ttl: '24h', policies: ['default'] });
  const own = await connectVault({
    address: bao.address,
    auth: token(body.auth.client_token),
    logger: false,
  });
  const jobs = {
    'KV reads': () => vault.kv.read('bench'),
    'renewals of a token': () => own.client.write('auth/token/renew-self', {}),
  };
  for (const [name, job] of Object.entries(jobs)) {
    const runs = Object.fromEntries(Object.keys(MODES).map((mode) => [mode, []]));
    await measure(job);
    for (let round = 0; round < ROUNDS; round++) {
      const modes = Object.entries(MODES);
      // Each mode comes first, second, … alike.
      for (const [mode, on] of [...modes.slice(round % 4), ...modes.slice(0, round % 4)]) {
        const off = on();
        // A new subscriber invalidates compiled code, which no application does a second time.
        await measure(job);
        runs[mode].push(await measure(job));
        off();
      }
    }
    const ratios = (mode) => runs[mode].map((cpu, round) => cpu / runs.nothing[round]);
    console.log(`\n${name}, ${WIDTH} at a time (${ROUNDS} rounds of ${COUNT}, in turns)`);
    console.log(
      table(
        ['with', 'CPU µs each', 'ratio to nothing (median of rounds)'],
        Object.keys(MODES).map((mode) => [
          mode,
          median(runs[mode]).toFixed(1),
          median(ratios(mode)).toFixed(3),
        ]),
      ),
    );
  }
  await Promise.all([vault.close(), own.close()]);
} finally {
  await bao.stop();
}
await tracerProvider.shutdown();

/** Microseconds of CPU for each call. */
async function measure(job) {
  const cpu = process.cpuUsage();
  let left = COUNT;
  await Promise.all(
    Array.from({ length: WIDTH }, async () => {
      while (left-- > 0) await job();
    }),
  );
  await reader.collect();
  const { user, system } = process.cpuUsage(cpu);
  return (user + system) / COUNT;
}

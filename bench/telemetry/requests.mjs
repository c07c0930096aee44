// One process of npm run bench:telemetry: sends requests of one kind in one mode, as many at a time as its parent asks for.
import { subscribe } from 'node:diagnostics_channel';
import { context, SpanKind } from '@opentelemetry/api';
import { concurrently } from '../concurrently.mjs';
import { startSdk } from './sdk.mjs';

const { folder, kind, mode, address, token: own } = JSON.parse(process.argv[2]);
const { connectVault, token } = await import(`${folder}/dist/esm/core.js`);
const { VaultInstrumentation } = await import(`${folder}/dist/esm/telemetry/index.js`);
/** As many at a time. */
const WIDTH = 20;

const { reader, meterProvider, tracerProvider } = startSdk();

const vault = await connectVault({ address, auth: token(own), logger: false });
const KINDS = {
  // The renewal of a token is the request of a renewal, without the life cycle around it.
  renewals: {
    send: () => vault.client.write('auth/token/renew-self', {}),
    operation: 'renew-self',
    method: 'POST',
    path: 'auth/token/renew-self',
  },
  reads: {
    send: () => vault.kv.read('bench'),
    operation: 'read',
    method: 'GET',
    path: 'secret/data/{path}',
  },
};
const { send, ...request } = KINDS[kind];

/** What each mode does before all requests; it returns what to do before each one, which returns what to do after it. */
const MODES = {
  nothing: () => undefined,
  subscriber: () => {
    for (const name of ['event', 'request:start', 'request:end', 'task:asked', 'task:start', 'task:end'])
      subscribe(`nestjs-vault:${name}`, () => undefined);
  },
  metrics: () => void new VaultInstrumentation({ meterProvider }),
  traces: () => void new VaultInstrumentation({ meterProvider, tracerProvider }),
  'by hand': byHand,
};

const before = MODES[mode]();
process.on('message', async (count) => process.send(await measure(count)));
process.send('ready');

/** Microseconds of CPU for each request, with one collection. */
async function measure(count) {
  const start = process.cpuUsage();
  await concurrently(count, WIDTH, async () => {
    const after = before?.();
    await send();
    after?.();
  });
  await reader.collect();
  const { user, system } = process.cpuUsage(start);
  return (user + system) / count;
}

/** The same histogram and the same span for each request, written into an application without this package's telemetry. */
function byHand() {
  const tracer = tracerProvider.getTracer('by-hand');
  const histogram = meterProvider.getMeter('by-hand').createHistogram('by-hand', { unit: 's' });
  const { operation, method, path } = request;
  const { hostname, port } = new URL(address);
  return () => {
    const began = performance.now();
    const attributes = {
      'nestjs_vault.connection': 'default',
      'nestjs_vault.operation': operation,
      'http.request.method': method,
      'url.template': `/v1/${path}`,
    };
    const span = tracer.startSpan(
      `vault ${operation} ${path}`,
      { kind: SpanKind.CLIENT, attributes },
      context.active(),
    );
    return () => {
      histogram.record((performance.now() - began) / 1_000, {
        connection: 'default',
        operation,
        'http.response.status_code': 200,
      });
      span.setAttributes({
        'http.response.status_code': 200,
        'nestjs_vault.request_id': `request-${began}`,
        'server.address': hostname,
        'server.port': Number(port),
      });
      span.end();
    };
  };
}

import {
  context,
  ProxyTracerProvider,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
  type Attributes,
  type Context,
  type Span,
  type SpanContext,
  type Tracer,
  type TracerProvider,
} from '@opentelemetry/api';
import { VERSION } from '../client/user-agent.js';
import type { VaultAskMessage, VaultRequestMessage, VaultTaskMessage } from '../events/channels.js';
import { pathTemplate } from '../events/path-template.js';
import { SCOPE, SPAN } from './names.js';

/** First word of the name of a span after `vault`. */
const TASK = { login: 'login', issue: 'issue', rotation: 'rotate' } as const;

/** The spans of requests, logins and issues on one tracer provider. */
export class VaultSpans {
  readonly #provider: TracerProvider;
  #found: Tracer | undefined;
  readonly #describe: (path: string) => string;
  readonly #askers = new WeakMap<VaultAskMessage, SpanContext>();
  // Each of them ends, so its entry is deleted; a WeakMap of short-lived objects costs the garbage collector more.
  readonly #tasks = new Map<VaultTaskMessage, Span>();
  readonly #requests = new Map<VaultRequestMessage, Span>();
  /** Attributes by address. */
  readonly #servers = new Map<string, Attributes>();

  constructor(provider: TracerProvider, describe: (path: string) => string) {
    this.#provider = provider;
    this.#describe = describe;
  }

  /** Undefined while the application has registered no provider, so that metrics alone cost nothing for spans. */
  get #tracer(): Tracer | undefined {
    const provider = this.#provider;
    this.#found ??=
      provider instanceof ProxyTracerProvider
        ? provider.getDelegateTracer(SCOPE, VERSION)
        : provider.getTracer(SCOPE, VERSION);
    return this.#found;
  }

  /** Ends all open spans, as no later message will. */
  close(): void {
    for (const spans of [this.#requests, this.#tasks]) {
      for (const span of spans.values()) span.end();
      spans.clear();
    }
  }

  /** A caller asks for shared work: its span is in the active context, unless a task asks. */
  asked(ask: VaultAskMessage): void {
    if (!this.#tracer) return;
    const asker = ask.task
      ? this.#tasks.get(ask.task)?.spanContext()
      : trace.getSpanContext(context.active());
    if (asker) this.#askers.set(ask, asker);
  }

  taskStarted(task: VaultTaskMessage): void {
    const tracer = this.#tracer;
    if (!tracer) return;
    const { source, kind, reason, path, asked } = task;
    const asker = asked && this.#askers.get(asked);
    const name = path === undefined ? `vault ${TASK[kind]}` : `vault ${TASK[kind]} ${pathTemplate(path)}`;
    const attributes = {
      [SPAN.connection]: source.name,
      [SPAN.reason]: reason,
      ...(path !== undefined && { [SPAN.path]: this.#describe(path) }),
    };
    const links = asker ? [{ context: asker }] : [];
    const span = tracer.startSpan(
      name,
      { kind: SpanKind.INTERNAL, root: true, attributes, links },
      ROOT_CONTEXT,
    );
    this.#tasks.set(task, span);
  }

  taskEnded(task: VaultTaskMessage): void {
    const span = this.#tasks.get(task);
    this.#tasks.delete(task);
    const { serial, error } = task.outcome ?? {};
    if (serial !== undefined) span?.setAttribute(SPAN.serial, serial);
    end(span, error);
  }

  /** A request of a task is its child; another one that of its caller, or it is a root. */
  requestStarted(request: VaultRequestMessage): void {
    const tracer = this.#tracer;
    if (!tracer) return;
    const { source, operation, method, path, task } = request;
    const parent = task ? this.#contextOf(task) : context.active();
    const attributes = {
      [SPAN.connection]: source.name,
      [SPAN.operation]: operation,
      // A LIST travels as a GET.
      [SPAN.method]: method === 'LIST' ? 'GET' : method,
      [SPAN.template]: `/v1/${path}`,
    };
    const name = `vault ${operation} ${path}`;
    const span = tracer.startSpan(name, { kind: SpanKind.CLIENT, attributes }, parent);
    if (span.isRecording()) this.#requests.set(request, span);
  }

  requestEnded(request: VaultRequestMessage): void {
    const span = this.#requests.get(request);
    if (!span) return;
    this.#requests.delete(request);
    const { outcome } = request;
    if (!outcome) return span.end();
    const { status, error, requestId, address, cached, resends } = outcome;
    if (status !== undefined) span.setAttribute(SPAN.status, status);
    if (requestId !== undefined) span.setAttribute(SPAN.requestId, requestId);
    if (cached) span.setAttribute(SPAN.cached, true);
    if (resends.length > 0) span.setAttribute(SPAN.resends, resends.length);
    if (address) span.setAttributes(this.#server(address));
    end(span, error);
  }

  /** Without a span if the task began before this did; it is not its caller's in any case. */
  #contextOf(task: VaultTaskMessage): Context {
    const span = this.#tasks.get(task);
    return span ? trace.setSpan(ROOT_CONTEXT, span) : ROOT_CONTEXT;
  }

  #server(address: string): Attributes {
    let server = this.#servers.get(address);
    if (!server) this.#servers.set(address, (server = serverOf(address)));
    return server;
  }
}

function end(span: Span | undefined, error: string | undefined): void {
  if (error !== undefined) {
    span?.setAttribute(SPAN.errorType, error);
    span?.setStatus({ code: SpanStatusCode.ERROR, message: error });
  }
  span?.end();
}

/** Host and port of an address; a socket has no port. */
function serverOf(address: string): Attributes {
  if (!/^https?:/.test(address)) return { [SPAN.address]: address };
  const { protocol, hostname, port } = new URL(address);
  const usual = protocol === 'https:' ? 443 : 80;
  return { [SPAN.address]: hostname, [SPAN.port]: port === '' ? usual : Number(port) };
}

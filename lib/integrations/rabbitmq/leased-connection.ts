import amqp, { type Channel, type ChannelModel } from 'amqplib';
import type { AmqpConnectionManagerOptions } from 'amqp-connection-manager';
import { sleep } from '../../clock/clock.js';
import type { UserCredentials } from '../../leases/user-credentials.js';
import { LOGIN_TIMEOUT } from '../rotation/login-timeout.js';
import type { PoolGeneration } from '../rotation/pool-generation.js';
import { TrackedChannel, type ChannelOwner } from './tracked-channel.js';

/** Milliseconds to wait for replies to requests that were sent on this connection (reply-to). */
const REPLY_TIMEOUT = 1_000;

/** Address and options of a broker. The URL has no credentials, so that no event shows them. */
export interface Broker {
  url: string;
  heartbeat: number;
  options: AmqpConnectionManagerOptions['connectionOptions'];
}

/** Opens a connection to a broker. */
export async function openConnection(
  broker: Broker,
  { username, password }: UserCredentials,
): Promise<ChannelModel> {
  const url = new URL(broker.url);
  if (!url.searchParams.has('heartbeat')) url.searchParams.set('heartbeat', String(broker.heartbeat));
  // amqplib's own object would print the password, and the socket keeps it among its options and logs them.
  const plain = amqp.credentials.plain(username.reveal(), password.reveal());
  const credentials = { mechanism: plain.mechanism, response: () => plain.response() };
  // The timeout is that of the whole login, in real time.
  const connection = await amqp.connect(url.href, {
    timeout: LOGIN_TIMEOUT,
    ...broker.options,
    credentials,
  });
  // 'close' follows with the same error.
  connection.on('error', () => undefined);
  return connection;
}

/** One connection, the generation of its credentials, and its channels. */
export class LeasedConnection implements ChannelOwner {
  readonly openedAt: number;
  disconnectEmitted: Promise<void> | undefined;
  /**
   * A failed channel does not close the connection while it takes over from an earlier one. Otherwise it does, as
   * amqp-connection-manager expects.
   */
  toleratesChannelErrors = false;
  readonly generation: PoolGeneration<LeasedConnection>;
  readonly model: ChannelModel;
  readonly #channels = new Set<TrackedChannel>();
  readonly #opening = new Set<Promise<unknown>>();
  #channelHasFailed = false;
  readonly #whenIdle: (() => void)[] = [];

  constructor(generation: PoolGeneration<LeasedConnection>, model: ChannelModel) {
    this.generation = generation;
    this.model = model;
    this.openedAt = generation.clock.monotonic();
    this.#track('createChannel');
    this.#track('createConfirmChannel');
  }

  /** Resolves when the channels that were requested until now are open. */
  async channelsOpened(): Promise<void> {
    await Promise.allSettled(this.#opening);
    // The callers that waited for them continue first.
    await new Promise((resolve) => void setImmediate(resolve));
  }

  /** Whether a channel failed, as it does if its queue is exclusive to another connection. */
  get channelHasFailed(): boolean {
    return this.#channelHasFailed;
  }

  /** Cancels the consumers that acknowledge messages. */
  async pause(): Promise<void> {
    await this.#each((channel) => channel.cancel({ acknowledging: true }));
  }

  /** Resolves when all published messages are confirmed, and all received ones acknowledged. */
  async finished(): Promise<void> {
    await this.#each((channel) => channel.confirmed());
    if ([...this.#channels].some(({ listening }) => listening))
      await sleep(this.generation.clock, REPLY_TIMEOUT, undefined, false);
    await this.#each((channel) => channel.cancel({ acknowledging: false }));
    if (this.#busy) await new Promise<void>((resolve) => this.#whenIdle.push(resolve));
  }

  async close(): Promise<void> {
    await this.#each((channel) => channel.close());
    await this.model.close().catch(() => undefined);
  }

  abort(): void {
    this.model.close().catch(() => undefined);
  }

  channelFailed(error: Error): void {
    if (!this.toleratesChannelErrors) throw error;
    this.#channelHasFailed = true;
  }

  channelClosed(channel: TrackedChannel): void {
    this.#channels.delete(channel);
    this.messagesSettled();
  }

  messagesSettled(): void {
    if (!this.#busy) for (const resolve of this.#whenIdle.splice(0)) resolve();
  }

  /** Whether messages are not acknowledged yet. */
  get #busy(): boolean {
    return [...this.#channels].some(({ busy }) => busy);
  }

  async #each(act: (channel: TrackedChannel) => Promise<void>): Promise<void> {
    await Promise.all([...this.#channels].map(act));
  }

  #track(name: 'createChannel' | 'createConfirmChannel'): void {
    const create = this.model[name].bind(this.model) as (...args: unknown[]) => Promise<Channel>;
    const tracked = (...args: unknown[]) => {
      const opening = create(...args).then((channel) => {
        this.#channels.add(new TrackedChannel(channel, this));
        return channel;
      });
      this.#opening.add(opening);
      opening.catch(() => undefined).finally(() => this.#opening.delete(opening));
      return opening;
    };
    Object.assign(this.model, { [name]: tracked });
  }
}

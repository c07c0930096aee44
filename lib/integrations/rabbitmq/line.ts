import { setTimeout as sleep } from 'node:timers/promises';
import amqp, { type Channel, type ChannelModel } from 'amqplib';
import type { AmqpConnectionManagerOptions } from 'amqp-connection-manager';
import type { DatabaseCredentials } from '../../services/credentials.service.js';
import type { Era } from '../rotation/era.js';
import { LOGIN_TIMEOUT } from '../rotation/in-time.js';
import { TrackedChannel, type ChannelOwner } from './tracked-channel.js';

/** Milliseconds between looks at messages that are being worked on. */
const LOOK = 20;
/** Milliseconds for answers to requests that were sent by this connection, as those come by it, too. */
const ANSWERS = 1_000;

/** Where and how to connect; the credentials are not part of the URL, so that no event shows them. */
export interface Place {
  url: string;
  heartbeat: number;
  options: AmqpConnectionManagerOptions['connectionOptions'];
}

export async function dial(place: Place, { username, password }: DatabaseCredentials): Promise<ChannelModel> {
  const url = new URL(place.url);
  if (!url.searchParams.has('heartbeat')) url.searchParams.set('heartbeat', String(place.heartbeat));
  // amqplib's own object shows the password, and is an option of the socket, which keeps it and logs it.
  const plain = amqp.credentials.plain(username.reveal(), password.reveal());
  const credentials = { mechanism: plain.mechanism, response: () => plain.response() };
  // Until it is open.
  const connection = await amqp.connect(url.href, { timeout: LOGIN_TIMEOUT, ...place.options, credentials });
  // Followed by 'close', which tells the same.
  connection.on('error', () => undefined);
  return connection;
}

/** One connection, what it is logged in with, and its channels. */
export class Line implements ChannelOwner {
  readonly since = performance.now();
  told: Promise<void> | undefined;
  /** A failure of a channel does not end it; otherwise it does, and amqp-connection-manager counts on that. */
  sheltered = false;
  readonly era: Era<Line>;
  readonly connection: ChannelModel;
  readonly #channels = new Set<TrackedChannel>();
  readonly #opening = new Set<Promise<unknown>>();
  #broken = false;

  constructor(era: Era<Line>, connection: ChannelModel) {
    this.era = era;
    this.connection = connection;
    this.#track('createChannel');
    this.#track('createConfirmChannel');
  }

  /** Resolves when the channels that were asked for until now are there. */
  async opened(): Promise<void> {
    await Promise.allSettled(this.#opening);
    // Who waited for them has to go on first.
    await sleep(0);
  }

  /** A channel failed, as it does where its queue belongs to another connection. */
  get broken(): boolean {
    return this.#broken;
  }

  /** No message is handed out any more that would have to be acknowledged. */
  async pause(): Promise<void> {
    await this.#each((channel) => channel.cancel({ acknowledging: true }));
  }

  /** Resolves when all that was sent is confirmed, and all that was received is acknowledged. */
  async settled(): Promise<void> {
    await this.#each((channel) => channel.confirmed());
    if ([...this.#channels].some(({ listening }) => listening)) await sleep(ANSWERS);
    await this.#each((channel) => channel.cancel({ acknowledging: false }));
    while ([...this.#channels].some(({ busy }) => busy)) await sleep(LOOK);
  }

  async close(): Promise<void> {
    await this.#each((channel) => channel.close());
    await this.connection.close().catch(() => undefined);
  }

  abort(): void {
    this.connection.close().catch(() => undefined);
  }

  channelFailed(error: Error): void {
    if (!this.sheltered) throw error;
    this.#broken = true;
  }

  channelClosed(channel: TrackedChannel): void {
    this.#channels.delete(channel);
  }

  async #each(act: (channel: TrackedChannel) => Promise<void>): Promise<void> {
    await Promise.all([...this.#channels].map(act));
  }

  #track(name: 'createChannel' | 'createConfirmChannel'): void {
    const create = this.connection[name].bind(this.connection) as (...args: unknown[]) => Promise<Channel>;
    const tracked = (...args: unknown[]) => {
      const opening = create(...args).then((channel) => {
        this.#channels.add(new TrackedChannel(channel, this));
        return channel;
      });
      this.#opening.add(opening);
      opening.catch(() => undefined).finally(() => this.#opening.delete(opening));
      return opening;
    };
    Object.assign(this.connection, { [name]: tracked });
  }
}

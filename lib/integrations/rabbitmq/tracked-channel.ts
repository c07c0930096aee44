import type { Channel, ConfirmChannel, ConsumeMessage, Message } from 'amqplib';

/** By which channel a message came, wherever it is acknowledged. */
const OWNERS = new WeakMap<Message, TrackedChannel>();

/** What a channel tells the connection that it is on. */
export interface ChannelOwner {
  channelFailed(error: Error): void;
  channelClosed(channel: TrackedChannel): void;
  /** Resolves when the application knows of the loss of the connection; undefined where that is not lost. */
  readonly told: Promise<void> | undefined;
}

/**
 * What one channel has under way. Acknowledgements of its messages find it, though the application has a newer channel
 * by then: on that one they would be unknown, which closes it.
 */
export class TrackedChannel {
  readonly #channel: Channel;
  /** By tag, whether it acknowledges. */
  readonly #consumers = new Map<string, boolean>();
  readonly #unacknowledged = new Set<Message>();
  #closed = false;

  constructor(channel: Channel, line: ChannelOwner) {
    const raw = {
      consume: channel.consume.bind(channel),
      cancel: channel.cancel.bind(channel),
      get: channel.get.bind(channel),
      ackAll: channel.ackAll.bind(channel),
      nackAll: channel.nackAll.bind(channel),
    };
    this.#channel = channel;
    channel.on('close', () => {
      this.#closed = true;
      this.#unacknowledged.clear();
      line.channelClosed(this);
    });
    channel.on('error', (error) => line.channelFailed(error));
    channel.consume = async (queue, onMessage, options) => {
      const take = (message: ConsumeMessage | null) => {
        if (message && !options?.noAck) this.#take(message);
        onMessage(message);
      };
      const reply = await raw.consume(queue, take, options);
      this.#consumers.set(reply.consumerTag, !options?.noAck);
      return reply;
    };
    channel.cancel = (tag) => {
      this.#consumers.delete(tag);
      return raw.cancel(tag);
    };
    channel.get = async (queue, options) => {
      const message = await raw.get(queue, options);
      if (message && !options?.noAck) this.#take(message);
      return message;
    };
    channel.ackAll = () => {
      this.#unacknowledged.clear();
      raw.ackAll();
    };
    channel.nackAll = (requeue) => {
      this.#unacknowledged.clear();
      raw.nackAll(requeue);
    };
    for (const name of ['ack', 'nack', 'reject'] as const) this.#route(name);
    if (isConfirm(channel)) confirmLater(channel, line);
  }

  /** Ends consumers that acknowledge, or that do not: no message is handed out to them any more. */
  async cancel({ acknowledging }: { acknowledging: boolean }): Promise<void> {
    const tags = [...this.#consumers].filter(([, acknowledges]) => acknowledges === acknowledging);
    if (!this.#closed) await Promise.allSettled(tags.map(([tag]) => this.#channel.cancel(tag)));
  }

  /** It has consumers that do not acknowledge. */
  get listening(): boolean {
    return [...this.#consumers.values()].includes(false);
  }

  /** Resolves when what was published is confirmed. */
  async confirmed(): Promise<void> {
    if (!this.#closed && isConfirm(this.#channel))
      await this.#channel.waitForConfirms().catch(() => undefined);
  }

  /** Messages are being worked on. */
  get busy(): boolean {
    return this.#unacknowledged.size > 0;
  }

  /** What was sent is with the broker when it resolves. */
  async close(): Promise<void> {
    if (!this.#closed) await this.#channel.close().catch(() => undefined);
  }

  #take(message: Message): void {
    OWNERS.set(message, this);
    this.#unacknowledged.add(message);
  }

  #route(name: 'ack' | 'nack' | 'reject'): void {
    const channel = this.#channel as unknown as Record<
      string,
      (message: Message, ...rest: unknown[]) => void
    >;
    const raw = (channel[name] as (message: Message, ...rest: unknown[]) => void).bind(channel);
    this.#raw[name] = raw;
    channel[name] = (message, ...rest) => {
      const owner = OWNERS.get(message) ?? this;
      // The broker has taken it back, and hands it out again.
      if (owner !== this && owner.#closed) return;
      owner.#settle(message, name !== 'reject' && rest[0] === true);
      (owner.#raw[name] ?? raw)(message, ...rest);
    };
  }

  readonly #raw: { [name: string]: (message: Message, ...rest: unknown[]) => void } = {};

  #settle(message: Message, allUpTo: boolean): void {
    const { deliveryTag } = message.fields;
    for (const one of allUpTo ? this.#unacknowledged : [message]) {
      if (one.fields.deliveryTag <= deliveryTag) this.#unacknowledged.delete(one);
    }
  }
}

/** amqp-connection-manager sends again what fails once it knows of the loss; amqplib tells of that a moment later. */
function confirmLater(channel: ConfirmChannel, line: ChannelOwner): void {
  const publish = channel.publish.bind(channel);
  channel.publish = (exchange, key, content, options, callback) =>
    publish(exchange, key, content, options, (error: unknown, ok) => {
      if (!error) return callback?.(error, ok);
      setImmediate(() => void Promise.resolve(line.told).then(() => callback?.(error, ok)));
    });
}

function isConfirm(channel: Channel): channel is ConfirmChannel {
  return 'waitForConfirms' in channel;
}

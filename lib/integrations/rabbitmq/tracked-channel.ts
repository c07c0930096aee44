import type { Channel, ConfirmChannel, ConsumeMessage, Message } from 'amqplib';

/** The channel that delivered a message; the application may acknowledge it on a newer one. */
const OWNERS = new WeakMap<Message, TrackedChannel>();

/** The connection of a channel. */
export interface ChannelOwner {
  channelFailed(error: Error): void;
  channelClosed(channel: TrackedChannel): void;
  /** Messages were acknowledged. */
  messagesSettled(): void;
  /** Resolves after the manager emitted `disconnect`; undefined while the connection is open. */
  readonly disconnectEmitted: Promise<void> | undefined;
}

/**
 * Tracks the consumers and unacknowledged messages of one channel. The application may acknowledge a message on a
 * newer channel after a rotation; the acknowledgement is sent on this one, as RabbitMQ closes a channel for an
 * unknown message.
 */
export class TrackedChannel {
  readonly #channel: Channel;
  readonly #owner: ChannelOwner;
  /** Whether each consumer acknowledges, by consumer tag. */
  readonly #consumers = new Map<string, boolean>();
  readonly #unacknowledged = new Set<Message>();
  #closed = false;

  constructor(channel: Channel, owner: ChannelOwner) {
    const raw = {
      consume: channel.consume.bind(channel),
      cancel: channel.cancel.bind(channel),
      get: channel.get.bind(channel),
      ackAll: channel.ackAll.bind(channel),
      nackAll: channel.nackAll.bind(channel),
    };
    this.#channel = channel;
    this.#owner = owner;
    channel.on('close', () => {
      this.#closed = true;
      this.#unacknowledged.clear();
      owner.channelClosed(this);
    });
    channel.on('error', (error) => owner.channelFailed(error));
    channel.consume = async (queue, onMessage, options) => {
      const receive = (message: ConsumeMessage | null) => {
        if (message && !options?.noAck) this.#track(message);
        onMessage(message);
      };
      const reply = await raw.consume(queue, receive, options);
      this.#consumers.set(reply.consumerTag, !options?.noAck);
      return reply;
    };
    channel.cancel = (tag) => {
      this.#consumers.delete(tag);
      return raw.cancel(tag);
    };
    channel.get = async (queue, options) => {
      const message = await raw.get(queue, options);
      if (message && !options?.noAck) this.#track(message);
      return message;
    };
    channel.ackAll = () => {
      this.#settle(this.#unacknowledged);
      raw.ackAll();
    };
    channel.nackAll = (requeue) => {
      this.#settle(this.#unacknowledged);
      raw.nackAll(requeue);
    };
    for (const name of ['ack', 'nack', 'reject'] as const) this.#route(name);
    if (isConfirm(channel)) delayFailedConfirms(channel, owner);
  }

  /** Cancels the consumers that acknowledge, or those that do not. */
  async cancel({ acknowledging }: { acknowledging: boolean }): Promise<void> {
    const tags = [...this.#consumers].filter(([, acknowledges]) => acknowledges === acknowledging);
    if (!this.#closed) await Promise.allSettled(tags.map(([tag]) => this.#channel.cancel(tag)));
  }

  /** Whether it has consumers that do not acknowledge. */
  get listening(): boolean {
    return [...this.#consumers.values()].includes(false);
  }

  /** Resolves when all published messages are confirmed. */
  async confirmed(): Promise<void> {
    if (!this.#closed && isConfirm(this.#channel))
      await this.#channel.waitForConfirms().catch(() => undefined);
  }

  /** Whether messages are not acknowledged yet. */
  get busy(): boolean {
    return this.#unacknowledged.size > 0;
  }

  /** Closes the channel; when it resolves, the broker has all that was sent. */
  async close(): Promise<void> {
    if (!this.#closed) await this.#channel.close().catch(() => undefined);
  }

  #track(message: Message): void {
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
      // The broker has requeued the message, as the channel is closed.
      if (owner !== this && owner.#closed) return;
      owner.#forget(message, name !== 'reject' && rest[0] === true);
      (owner.#raw[name] ?? raw)(message, ...rest);
    };
  }

  readonly #raw: { [name: string]: (message: Message, ...rest: unknown[]) => void } = {};

  #forget(message: Message, allUpTo: boolean): void {
    const { deliveryTag } = message.fields;
    const all = allUpTo ? [...this.#unacknowledged] : [message];
    this.#settle(all.filter((one) => one.fields.deliveryTag <= deliveryTag));
  }

  #settle(messages: Iterable<Message>): void {
    for (const message of messages) this.#unacknowledged.delete(message);
    this.#owner.messagesSettled();
  }
}

/**
 * Delays the failure of a confirm until `disconnect` was emitted: amqp-connection-manager publishes a message again only
 * if it knows that the connection is lost, and amqplib reports that later than the failure.
 */
function delayFailedConfirms(channel: ConfirmChannel, owner: ChannelOwner): void {
  const publish = channel.publish.bind(channel);
  channel.publish = (exchange, key, content, options, callback) =>
    publish(exchange, key, content, options, (error: unknown, ok) => {
      if (!error) return callback?.(error, ok);
      setImmediate(() => void Promise.resolve(owner.disconnectEmitted).then(() => callback?.(error, ok)));
    });
}

function isConfirm(channel: Channel): channel is ConfirmChannel {
  return 'waitForConfirms' in channel;
}

import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { BSON, type Document } from 'mongodb';

const OP_REPLY = 1;
const OP_QUERY = 2004;
const OP_MSG = 2013;
const ITERATIONS = 4096;

/**
 * The part of MongoDB that its driver needs to log in (SCRAM-SHA-256) and to run a command, as no real server is
 * available: users can be added and removed, and connections of a removed user are denied everything, as by MongoDB.
 */
export class MongoWire {
  readonly users = new Map<string, string>();
  /** By user name, how many commands they ran. */
  readonly commands = new Map<string, number>();
  /** Milliseconds that a command takes. */
  delay = 0;
  readonly #server: Server;
  readonly #sockets = new Map<Socket, Session>();

  private constructor() {
    this.#server = createServer((socket) => this.#serve(socket));
  }

  static async start(): Promise<MongoWire> {
    const wire = new MongoWire();
    await new Promise<void>((resolve) => wire.#server.listen(0, '127.0.0.1', resolve));
    return wire;
  }

  get url(): string {
    return `mongodb://127.0.0.1:${(this.#server.address() as AddressInfo).port}/?directConnection=true`;
  }

  /** The users that connections are logged in as at the moment. */
  get connected(): Set<string> {
    return new Set([...this.#sockets.values()].flatMap(({ user }) => (user === undefined ? [] : [user])));
  }

  /** Ends the connections of a user. */
  disconnect(user: string): void {
    for (const [socket, session] of this.#sockets) if (session.user === user) socket.destroy();
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets.keys()) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #serve(socket: Socket): void {
    const session: Session = {};
    this.#sockets.set(socket, session);
    socket.on('close', () => this.#sockets.delete(socket)).on('error', () => undefined);
    let buffer = Buffer.alloc(0);
    socket.on('data', (chunk) => {
      buffer = Buffer.concat([buffer, chunk]);
      while (buffer.length >= 16 && buffer.length >= buffer.readInt32LE(0)) {
        const message = buffer.subarray(0, buffer.readInt32LE(0));
        buffer = buffer.subarray(message.length);
        void this.#reply(socket, session, message);
      }
    });
  }

  async #reply(socket: Socket, session: Session, message: Buffer): Promise<void> {
    const [id, opcode] = [message.readInt32LE(4), message.readInt32LE(12)];
    const start = opcode === OP_QUERY ? message.indexOf(0, 20) + 9 : 21;
    const answer = await this.#answer(session, BSON.deserialize(message.subarray(start)));
    const body = Buffer.from(BSON.serialize(answer));
    const head = opcode === OP_QUERY ? Buffer.alloc(20) : Buffer.alloc(5);
    if (opcode === OP_QUERY) head.writeInt32LE(1, 16);
    const header = Buffer.alloc(16);
    header.writeInt32LE(16 + head.length + body.length, 0);
    header.writeInt32LE(id, 8);
    header.writeInt32LE(opcode === OP_QUERY ? OP_REPLY : OP_MSG, 12);
    if (!socket.destroyed) socket.write(Buffer.concat([header, head, body]));
  }

  async #answer(session: Session, command: Document): Promise<Document> {
    const [name] = Object.keys(command);
    if (name === 'hello' || name === 'ismaster' || name === 'isMaster') return HELLO;
    if (name === 'saslStart') return this.#saslStart(session, String(command['payload']));
    if (name === 'saslContinue') return this.#saslContinue(session, String(command['payload']));
    if (name === 'endSessions') return { ok: 1 };
    const { user } = session;
    if (user === undefined || !this.users.has(user)) return failure(13, 'Unauthorized');
    if (this.delay > 0) await new Promise((resolve) => setTimeout(resolve, this.delay));
    this.commands.set(user, (this.commands.get(user) ?? 0) + 1);
    return { ok: 1, user, ...ANSWER, authInfo: { authenticatedUsers: [{ user, db: 'admin' }] } };
  }

  #saslStart(session: Session, first: string): Document {
    const bare = first.slice(first.indexOf('n='));
    const [, user = '', nonce = ''] = /^n=([^,]*),r=(.*)$/.exec(bare) ?? [];
    const salt = randomBytes(28).toString('base64');
    const challenge = `r=${nonce}${randomBytes(12).toString('base64')},s=${salt},i=${ITERATIONS}`;
    session.sasl = { user, salt, start: `${bare},${challenge}` };
    return { ok: 1, conversationId: 1, done: false, payload: new BSON.Binary(Buffer.from(challenge)) };
  }

  #saslContinue(session: Session, last: string): Document {
    const { user, salt, start } = session.sasl as NonNullable<Session['sasl']>;
    const password = this.users.get(user);
    if (password === undefined) return failure(18, 'AuthenticationFailed');
    const [, withoutProof = '', proof = ''] = /^(.*),p=(.*)$/.exec(last) ?? [];
    const salted = pbkdf2Sync(password, Buffer.from(salt, 'base64'), ITERATIONS, 32, 'sha256');
    const key = hmac(salted, 'Client Key');
    const signature = hmac(createHash('sha256').update(key).digest(), `${start},${withoutProof}`);
    const expected = Buffer.from(key.map((byte, index) => byte ^ (signature[index] ?? 0))).toString('base64');
    if (proof !== expected) return failure(18, 'AuthenticationFailed');
    session.user = user;
    const server = hmac(hmac(salted, 'Server Key'), `${start},${withoutProof}`).toString('base64');
    return { ok: 1, conversationId: 1, done: true, payload: new BSON.Binary(Buffer.from(`v=${server}`)) };
  }
}

interface Session {
  user?: string;
  sasl?: { user: string; salt: string; start: string };
}

const HELLO = {
  ok: 1,
  helloOk: true,
  ismaster: true,
  isWritablePrimary: true,
  maxWireVersion: 21,
  minWireVersion: 0,
  maxBsonObjectSize: 16_777_216,
  maxMessageSizeBytes: 48_000_000,
  maxWriteBatchSize: 100_000,
  saslSupportedMechs: ['SCRAM-SHA-256'],
};

/** The answer to a write and to a search: the fields that the driver reads. */
const ANSWER = { n: 1, cursor: { id: BSON.Long.ZERO, ns: 'shop.orders', firstBatch: [] } };

const failure = (code: number, codeName: string) => ({ ok: 0, code, codeName, errmsg: `${codeName}.` });

const hmac = (key: Buffer, text: string) => createHmac('sha256', key).update(text).digest();

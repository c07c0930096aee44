import type { Clock } from '../../../lib/clock/clock.js';
import type { Sender } from '../../../lib/client/transport.js';

/** One request of a client that is compared. */
export interface Call {
  method: 'GET' | 'POST' | 'PUT';
  /** Below `/v1/`. */
  path: string;
  token?: string;
  body?: object;
  /** Milliseconds. */
  timeout: number;
}

/** What was answered: the parts of the envelope that clients look at. */
export interface Answer {
  lease_id: string;
  lease_duration: number;
  renewable: boolean;
  data: unknown;
  auth: Auth | null;
}

export interface Auth {
  client_token: string;
  lease_duration: number;
  renewable: boolean;
}

/** No answer with a status of 2xx: what went wrong, where anything was answered at all. */
export class Failure extends Error {
  constructor(
    /** HTTP status; nothing where the connection failed. */
    readonly status: number | undefined,
    text: string,
  ) {
    super(text);
  }
}

/** Sends one request once. */
export async function exchange(server: Sender, call: Call): Promise<Answer> {
  const { method, path, token, body, timeout } = call;
  const response = await server
    .send({
      method,
      path: `/v1/${path}`,
      headers: token === undefined ? {} : { 'x-vault-token': token },
      timeout,
      ...(body && { body: JSON.stringify(body) }),
    })
    .catch((error: unknown) => {
      throw new Failure(undefined, String(error));
    });
  if (response.statusCode >= 300) throw new Failure(response.statusCode, response.body);
  return JSON.parse(response.body) as Answer;
}

/** Waits; there is nothing to give it up for in a simulation. */
export function pause(clock: Clock, milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    clock.setTimer(milliseconds, resolve, true);
  });
}

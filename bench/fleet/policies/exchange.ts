import type { Clock } from '../../../lib/clock/clock.js';
import type { Sender } from '../../../lib/client/transport.types.js';

/** One request of a client of the comparison. */
export interface Call {
  method: 'GET' | 'POST' | 'PUT';
  /** Below `/v1/`. */
  path: string;
  token?: string;
  body?: object;
  /** Timeout in milliseconds. */
  timeout: number;
}

/** An answer: the members that clients read. */
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

/** The error of a request without a 2xx answer, with the status of the answer if there was one. */
export class Failure extends Error {
  constructor(
    /** HTTP status; undefined after a failed connection. */
    readonly status: number | undefined,
    text: string,
  ) {
    super(text);
  }
}

/** Sends one request, without retries. */
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

/** Waits, without a way to abort, which a simulation does not need. */
export function pause(clock: Clock, milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    clock.setTimer(milliseconds, resolve, true);
  });
}

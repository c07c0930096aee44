import http from 'node:http';
import type { ApiAnswer, ApiOptions } from '../support/servers.mjs';

/** A request of a script: a string is the raw body, any other value is sent as JSON. */
export type Send = (method: string, path: string, body?: unknown, options?: ApiOptions) => Promise<ApiAnswer>;

/** Sends requests to one server, each on a connection of its own. */
export function sender(address: string, rootToken: string): Send {
  return (method, path, body, { token = rootToken, headers, namespace } = {}) =>
    new Promise((resolve, reject) => {
      const payload = body === undefined ? '' : typeof body === 'string' ? body : JSON.stringify(body);
      const all = {
        ...(token && { 'x-vault-token': token }),
        ...(namespace && { 'x-vault-namespace': namespace }),
        ...(payload && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) }),
        ...headers,
      };
      const request = http.request(
        `${address}/v1/${path}`,
        { method, headers: all, agent: false },
        (response) => {
          let text = '';
          response.setEncoding('utf8');
          response.on('data', (chunk) => (text += chunk));
          response.on('error', reject);
          response.on('end', () => {
            const { statusCode: status = 0, headers: received } = response;
            const answer = { status, headers: received, body: parse(text), request: [method, path] };
            resolve(answer);
          });
        },
      );
      request.on('error', reject);
      request.end(payload);
    });
}

function parse(text: string): unknown {
  try {
    return text === '' ? undefined : JSON.parse(text);
  } catch {
    return text;
  }
}

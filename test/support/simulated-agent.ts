import type { Sender } from '../../lib/client/transport.types.js';

/** The agent, and the token that it attaches; without one it passes requests on as they are. */
export interface SimulatedAgent extends Sender {
  token: string | undefined;
}

/**
 * An agent or proxy with `auto_auth`, `use_auto_auth_token` and `require_request_header`, in front of a server. It
 * attaches its token, and removes that and its accessor from answers.
 */
export function simulatedAgent(sender: Sender, token?: string): SimulatedAgent {
  return {
    token,
    async send(request) {
      if (request.headers['X-Vault-Request'] !== 'true')
        return {
          statusCode: 412,
          headers: {},
          body: '{"errors":["missing \\"X-Vault-Request\\" header"]}\n',
          address: '',
        };
      const attached = this.token !== undefined && request.headers['X-Vault-Token'] === undefined;
      if (!attached) return sender.send(request);
      const headers = { ...request.headers, 'X-Vault-Token': this.token as string };
      const response = await sender.send({ ...request, headers });
      return { ...response, body: response.body && stripped(response.body as string) };
    },
    close: () => sender.close(),
  };
}

function stripped(body: string): string {
  const answer = JSON.parse(body);
  if (answer.auth) Object.assign(answer.auth, { client_token: '', accessor: '' });
  if (answer.data?.accessor) {
    delete answer.data.id;
    delete answer.data.accessor;
  }
  return JSON.stringify(answer);
}

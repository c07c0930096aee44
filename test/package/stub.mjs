// A small server that logs in, hands out one lease and one KV secret, and revokes tokens.
import { createServer } from 'node:http';

/** @returns its address, the tokens that are alive, and the paths of all requests */
export async function startStub() {
  const alive = new Set();
  const paths = [];
  const server = createServer((request, response) => {
    const path = request.url.replace('/v1/', '');
    paths.push(path);
    const token = String(request.headers['x-vault-token']);
    response.setHeader('content-type', 'application/json');
    if (path === 'auth/token/revoke-self') return void (alive.delete(token), response.writeHead(204).end());
    const life = { lease_duration: 60, renewable: true };
    if (path === 'auth/approle/login') {
      const made = `hvs.${paths.length}`;
      alive.add(made);
      return void response.end(JSON.stringify({ auth: { ...life, client_token: made, accessor: 'a' } }));
    }
    const answers = {
      'secret/data/app': {
        data: {
          data: { apiKey: 'key' },
          metadata: { version: 1, created_time: '2026-01-01T00:00:00Z', deletion_time: '', destroyed: false },
        },
      },
      'database/creds/orders': {
        ...life,
        lease_id: 'database/creds/orders/1',
        data: { username: 'u', password: 'p' },
      },
    };
    if (!answers[path]) return void response.writeHead(404).end('{"errors":[]}');
    response.end(JSON.stringify(answers[path]));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { address: `http://127.0.0.1:${server.address().port}`, alive, paths, server };
}

// Runs docs/server-setup.md as a reader would, on servers that the caller started.
import { spawn } from 'node:child_process';
import { symlinkSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { blocksOf } from './pages.mjs';
import { openBaoAvailable } from './servers.mjs';

const PAGE = 'docs/server-setup.md';

/** Runs a block; resolves with its output, and rejects if a command fails. */
export function shell({ text }, folder, env) {
  return new Promise((resolve, reject) => {
    const child = spawn('bash', ['-euo', 'pipefail', '-c', text], {
      cwd: folder,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk) => (stdout += chunk));
    child.stderr.on('data', (chunk) => (stderr += chunk));
    child.on('error', reject);
    child.on('close', (code) =>
      code === 0
        ? resolve(stdout)
        : reject(Object.assign(new Error(`exit code ${code}: ${stderr}\n${text}`), { stdout })),
    );
  });
}

/** The environment of a terminal in which `bao` is the server's own binary. */
export async function terminal(bao, folder) {
  const { bin } = await openBaoAvailable();
  symlinkSync(bin, join(folder, 'bao'));
  const { PATH = '' } = process.env;
  return {
    PATH: `${folder}${delimiter}${PATH}`,
    HOME: folder,
    VAULT_ADDR: bao.address,
    VAULT_TOKEN: bao.rootToken,
  };
}

/** Runs the page with values for its first block; the secret_id is delivered with the page's rights for that. */
export async function followSetUp(bao, postgres, folder) {
  // The block in HCL configures a server before it starts: those of tests with an audit log have it.
  const [, ...steps] = blocksOf(PAGE).filter(({ language }) => language !== 'hcl');
  const values = {
    DATABASE: `${postgres.host}:${postgres.port}/${postgres.database}?sslmode=disable`,
    INITIAL_PASSWORD: 'change-me',
    DELIVERY: join(folder, 'delivery'),
  };
  const env = { ...(await terminal(bao, folder)), ...values };
  const isDelivery = ({ text }) => text.includes('mv ');
  const delivery = steps.find(isDelivery);
  let deliverer = env;
  let printed = '';
  const step = async (block) => {
    if (block.language === 'sql') return void (await postgres.query(block.text));
    if (!isDelivery(block)) return void (printed += await shell(block, folder, env));
    const rights = { policies: ['orders-delivery'], no_default_policy: true };
    const { body } = await bao.api('POST', 'auth/token/create', rights);
    deliverer = { ...env, VAULT_TOKEN: body.auth.client_token };
    await shell(block, folder, deliverer);
  };
  for (const block of steps)
    await step(block).catch((error) => {
      throw new Error(`${PAGE}:${block.line}: ${error.message}`, { cause: error });
    });
  const { body } = await bao.api('GET', 'auth/approle/role/orders/role-id');
  return {
    /** The values that an application gets. */
    variables: {
      VAULT_ADDR: bao.address,
      VAULT_ROLE_ID: body.data.role_id,
      VAULT_SECRET_ID_FILE: join(values.DELIVERY, 'secret_id'),
    },
    /** Names of the variables of the first block. */
    names: [...Object.keys(values), 'VAULT_ADDR', 'VAULT_TOKEN'],
    printed,
    deliver: () => shell(delivery, folder, deliverer),
    /** Runs a block of another page with a token, by default that of the administrator, and more variables. */
    run: (block, VAULT_TOKEN = bao.rootToken, more = {}) =>
      shell(block, folder, { ...env, VAULT_TOKEN, ...more }),
  };
}

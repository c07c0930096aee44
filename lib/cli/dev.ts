import { InvalidArgumentError, type Command } from 'commander';
import { systemClock } from '../clock/clock.js';
import { invalid } from './invalid.js';
import { examples, type Cli, type CliCommand } from './command.js';
import { DevSecrets } from './dev/dev-secrets.js';
import { findFile } from './dev/read-file.js';
import { ENDING, isAnother, Signals } from './signals.js';

const PORT = 8200;

interface Flags {
  port: number;
  writeEnv?: string;
  secretIdFile?: string;
  server?: string;
  sharedServer?: boolean;
}

/** `nestjs-vault dev`: a server for development, from one file. */
export const devCommand: CliCommand = {
  name: 'dev',
  define(command: Command, cli: Cli) {
    command
      .summary('run a simulated server for development, from one file')
      .description(
        'Runs a simulated OpenBao or Vault on this machine with the content of one file: database roles that create ' +
          'users in your own PostgreSQL or MariaDB, KV secrets, policies, and the AppRole of the application. With ' +
          '--server it sets up a real `bao server -dev` or `vault server -dev` instead, and ends.',
      )
      .argument('[file]', 'default: vault.dev.mjs or vault.dev.json in this folder')
      .option('--port <number>', 'port of 127.0.0.1', port, PORT)
      // Node 20 takes `--env-file` for its own option, also behind the script.
      .option('--write-env <path>', 'write the variables of the application into this file, such as .env')
      .option('--secret-id-file <path>', 'write the secret_id into this file, and give VAULT_SECRET_ID_FILE')
      .option('--server <address>', 'set up this real server, with the token of VAULT_TOKEN or BAO_TOKEN')
      .option('--shared-server', 'also if the server is on another machine, or keeps its data')
      .action((file: string | undefined, flags: Flags) => dev(file, flags, cli));
    examples(command, {
      'nestjs-vault dev --write-env .env': 'a simulated server, and the variables in .env',
      'VAULT_TOKEN=root nestjs-vault dev --server http://127.0.0.1:8200':
        'the same content in `bao server -dev`',
    });
  },
};

function port(given: string): number {
  const number = Number(given);
  if (/^\d+$/.test(given) && number > 0 && number <= 65_535) return number;
  throw new InvalidArgumentError('It must be between 1 and 65535.');
}

async function dev(given: string | undefined, flags: Flags, cli: Cli): Promise<void> {
  if (cli.env['NODE_ENV'] === 'production')
    throw invalid(
      'NODE_ENV is "production", and nestjs-vault dev is for development only.',
      'In production, use a real server: docs/server-setup.md of nestjs-vault.',
    );
  // Not loaded for other commands, which start faster without.
  const [{ setUpServer }, { SimulatedDevServer }] = await Promise.all([
    import('./dev/real.js'),
    import('./dev/simulated.js'),
  ]);
  const path = findFile(given, cli.folder);
  const secrets = new DevSecrets(path);
  const { server, sharedServer: shared = false, port: listenOn, ...variables } = flags;
  if (server !== undefined) return setUpServer(path, { ...variables, server, shared }, cli, secrets);
  const signals = new Signals(ENDING);
  try {
    const asked = signals.end().then(() => {
      const since = systemClock.monotonic();
      signals.receive = () => isAnother(since) && process.exit(1);
    });
    const started = new SimulatedDevServer(path, cli, secrets);
    await started.start(listenOn, variables);
    await asked;
    if (!(await started.end())) cli.exit(1);
  } finally {
    signals.release();
  }
}

import { Option, type Command } from 'commander';
import { endBySignal } from '../connection/process-end.js';
import type { VaultLogLine } from '../events/log-line.js';
import { openVault } from '../services/connect-vault.js';
import { examples, type Cli, type CliCommand } from './command.js';
import { connectionOf, withConnection, type ConnectionFlags } from './connection.js';
import { duration, durationFrom } from './duration.js';
import { environmentOf, type EnvironmentFlags } from './exec/environment.js';
import { LeaseNotices } from './exec/lease-notices.js';
import { PrivateFiles } from './exec/private-files.js';
import { readValues, type Value } from './exec/read-values.js';
import { refuseNodeDebug, runCommand } from './exec/run-command.js';
import { allWanted, wanted, type WantedFlags } from './exec/wanted.js';
import { ENDING, exitCodeOf, Signals } from './signals.js';

interface ExecFlags extends WantedFlags, ConnectionFlags, EnvironmentFlags {
  ttl?: number;
  grace: number;
}

/** Milliseconds: Docker kills a container 10 s after SIGTERM, and the end of the lease takes some time, too. */
const GRACE = 8_000;
/** SIGUSR1 would otherwise open Node's inspector, and SIGUSR2 end this process. */
const SIGNALS: readonly NodeJS.Signals[] = [...ENDING, 'SIGUSR1', 'SIGUSR2'];

/** Runs a program with credentials that live as long as it does. */
export const execCommand: CliCommand = {
  name: 'exec',
  ownFailure: 125,
  define(command, cli) {
    command
      .summary('run a program with credentials that end with it')
      .description(
        'Run a program with credentials in its environment. They are renewed as long as it runs, and ended when it ' +
          'has ended, whatever its exit code and also after a signal. Call it as node_modules/.bin/nestjs-vault, or at ' +
          'a keyboard by `npx --no-install`: npx and npm pass no signals on, and npx alone may fetch a package.',
      )
      .usage('[options] -- <command> [args...]')
      .argument('<command...>', 'the program and its arguments')
      .passThroughOptions()
      .optionsGroup('Credentials:')
      .option('--database <role>', 'user of a database role, in DB_USERNAME and DB_PASSWORD')
      .option('--mount <path>', 'mount of the database engine (default: database)')
      .option('--pg', 'PGUSER and PGPASSWORD in place of DB_USERNAME and DB_PASSWORD')
      .option(
        '--env <NAME=path#key>',
        'one value of any secret in a variable; path as in the policy: database/creds/orders#username, ' +
          'secret/data/payments#apiKey. Can be repeated',
        wanted('variable'),
      )
      .option(
        '--file <NAME=path#key>',
        'the same in a file that only you can read, removed at the end, or after SIGKILL by the next run; the ' +
          'variable has its path',
        wanted('file'),
      )
      .option(
        '--write-env <path>',
        'write the variables into this file, as for `docker run --env-file`, not into the environment; removed at the ' +
          'end, but not after SIGKILL',
      )
      .optionsGroup('Life:')
      .option(
        '--ttl <time>',
        'keep leases at this TTL, as 2m: what a killed process leaves ends after it',
        durationFrom(2),
      )
      .addOption(
        new Option('--grace <time>', 'time to end after a signal, before the program is killed')
          .default(GRACE, '8s')
          .argParser(duration),
      )
      .option(
        '--keep-login',
        'leave the variables of the login, and of other secrets of the connection, in the environment',
      );
    withConnection(command).action((line: readonly string[], flags: ExecFlags) =>
      exec(line, flags, command, cli),
    );
    examples(command, {
      'nestjs-vault exec --database orders-migrations -- node_modules/.bin/typeorm migration:run -d dist/data-source.js':
        'a migration, as DB_USERNAME and DB_PASSWORD',
      'nestjs-vault exec --database orders --pg -- psql -h localhost orders':
        'psql, as PGUSER and PGPASSWORD',
      'nestjs-vault exec --ttl 2m --env API_KEY=secret/data/payments#apiKey -- node job.js':
        'a value of KV; a lease that is left after SIGKILL ends within 2 minutes',
    });
  },
};

async function exec(
  [program = '', ...args]: readonly string[],
  flags: ExecFlags,
  command: Command,
  cli: Cli,
): Promise<void> {
  refuseNodeDebug();
  const list = allWanted(flags);
  if (list.length === 0) command.error('error: name credentials by --database, --env or --file');
  const say = (line: string) => cli.say(`nestjs-vault: ${line}`);
  const sayLine = ({ message }: VaultLogLine) => say(message);
  const { options, chosen } = await connectionOf(flags, cli);
  say(`connects with ${chosen}.`);
  const { ttl, grace } = flags;
  // Those of a module of the application do not decide about this process.
  for (const signal of ENDING) process.removeAllListeners(signal);
  const signals = new Signals(SIGNALS);
  signals.receive = (signal) => endLogin(signal, signals);
  const { vault, connection } = await openVault(
    {
      ...options,
      ...(ttl !== undefined && { renewal: { ...options.renewal, ttl } }),
      logger: { warn: sayLine, error: sayLine },
    },
    { endAtExit: true },
  );
  const cancelled = signals.end();
  const files = new PrivateFiles(cli.env, say);
  const read = async (): Promise<Value[]> => {
    const values = await readValues(vault, list);
    // The command cannot get a new user, so none is issued: its lease is renewed as long as the server allows.
    connection.freeze();
    await new LeaseNotices(
      vault,
      values.map(({ path }) => path),
      say,
    ).start(ttl ?? Infinity);
    return values;
  };
  try {
    const values = await Promise.race([read(), cancelled]);
    if (typeof values === 'string') return cli.exit(exitCodeOf(values));
    // From here on without a pause, so that a signal finds either no file or the command.
    const env = environmentOf(values, flags, files, cli);
    if (files.staying !== undefined) say(files.staying);
    cli.exit(await runCommand({ command: program, args, folder: cli.folder, env, grace, say }, signals));
  } finally {
    files.remove();
    await vault.close();
    signals.release();
  }
}

/** Before the first lease, the connection can end by itself; another signal then ends this process at once. */
function endLogin(signal: NodeJS.Signals, signals: Signals): void {
  if (!ENDING.includes(signal)) return;
  signals.release();
  // SIGQUIT would write the memory of this process, with its secrets, to a file.
  void endBySignal(signal === 'SIGQUIT' ? 'SIGTERM' : signal);
}

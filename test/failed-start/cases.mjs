// The ways in which a start fails and a process ends, each with the exit code that Node and Nest give without this
// package; a short run leaves out the `long` ones.
const WHERE = ['provider', 'onModuleInit', 'onApplicationBootstrap', 'listen'];
const END = { uncaught: 1, caught: 0, exit: 3 };

/** With `abortOnError` Nest itself ends the process when a provider fails; in hooks and `listen` it has no effect. */
export const FAILED_STARTS = WHERE.flatMap((where) =>
  [true, false].flatMap((abort) =>
    Object.entries(END).map(([end, code]) => ({
      name: `${where}, abortOnError ${abort}, ${end}`,
      run: { where, abort, end },
      code: abort && where === 'provider' ? 1 : code,
      long: abort !== (where === 'provider') || end === 'exit',
    })),
  ),
);

const flags = process.allowedNodeEnvironmentFlags;
/** The option's name before Node 24, and since. */
const PERMISSION = flags.has('--permission') ? '--permission' : '--experimental-permission';

const other = (name, code, { title = name, after, ...more } = {}) => ({
  name: title,
  run: { other: name, after },
  code,
  ...more,
});

/** `left`: the token and the user cannot be ended, and the process still ends. */
export const OTHER_ENDS = [
  other('runs out', 0),
  other('process.exit(5) while it runs', 5),
  other('an uncaught exception while it runs', 1),
  other('an uncaught exception, with a listener that exits with 6', 6, { long: true }),
  other('a rejection that nothing handles', 1, { long: true }),
  other('process.exit(7) in a listener of exit', 7),
  ...[0, 1, 5].map((after) =>
    other('process.exit(8) during close()', 8, {
      after,
      long: after > 0,
      title: `process.exit(8) ${after} ms after close()`,
    }),
  ),
  other('process.exit(9) when close() is done', 9, { long: true }),
  other('a script runs out', 0),
  other('process.exit(5) in a script', 5, { long: true }),
  other('SIGINT with endAtExit', 'SIGINT'),
  other('SIGTERM in withVault', 'SIGTERM'),
  other('an error in withVault', 1),
  other('both copies of the package', 0),
  other('a microservice on a port that is taken', 1),
  other('SIGTERM while a start waits for the server', 'SIGTERM'),
  other('SIGTERM in a start, with a listener that exits with 10', 10),
  other('process.exit(5) while it runs', 5, { title: 'a given token, and process.exit(5)', token: 'given' }),
  other('process.exit(11) while the server hangs', 11, { left: true }),
  other('process.exit(5) while it runs', 5, {
    title: 'threads are not permitted, and process.exit(5)',
    left: true,
    flags: [PERMISSION, '--allow-fs-read=*', '--allow-fs-write=*', '--allow-addons'],
  }),
];

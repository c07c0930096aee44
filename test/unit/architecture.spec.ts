import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../lib', import.meta.url));
const isSource = (name: string) => /\.c?ts$/.test(name);

interface Import {
  from: string;
  /** A file below lib, or the name of a package. */
  to: string;
  typeOnly: boolean;
}

const files = readdirSync(root, { recursive: true, encoding: 'utf8' })
  .filter((name) => isSource(name))
  .map((name) => name.split(sep).join('/'))
  .sort();
const imports = files.flatMap(importsOf);

function importsOf(from: string): Import[] {
  const path = join(root, from);
  const source = ts.createSourceFile(path, readFileSync(path, 'utf8'), ts.ScriptTarget.ES2022, true);
  const found: Import[] = [];
  const add = (specifier: string, typeOnly: boolean) => {
    const local = specifier.startsWith('.');
    const target = join(dirname(path), specifier.replace(/\.(c?)js$/, '.$1ts'));
    found.push({ from, to: local ? relative(root, target).split(sep).join('/') : specifier, typeOnly });
  };
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node) && ts.isStringLiteral(node.moduleSpecifier)) {
      const clause = node.importClause;
      const named = clause?.namedBindings;
      const members = named && ts.isNamedImports(named) && !clause.name ? named.elements : [];
      const everyType = members.length > 0 && members.every(({ isTypeOnly }) => isTypeOnly);
      const whole = clause?.phaseModifier === ts.SyntaxKind.TypeKeyword;
      add(node.moduleSpecifier.text, whole || everyType);
    } else if (
      ts.isExportDeclaration(node) &&
      node.moduleSpecifier &&
      ts.isStringLiteral(node.moduleSpecifier)
    ) {
      const named = node.exportClause;
      const everyType =
        named && ts.isNamedExports(named) && named.elements.every(({ isTypeOnly }) => isTypeOnly);
      add(node.moduleSpecifier.text, node.isTypeOnly || everyType === true);
    } else if (ts.isCallExpression(node) && /^(import|require)$/.test(node.expression.getText())) {
      const [specifier] = node.arguments;
      if (specifier && ts.isStringLiteral(specifier)) add(specifier.text, false);
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

/** Files beside `index.ts` that are a room of their own. */
const FILE_ROOMS: Record<string, string> = {
  'vault.environment.ts': 'environment',
  'vault.tokens.ts': 'tokens',
  'core.ts': 'core',
};
const roomOf = (file: string) =>
  file.includes('/') ? (file.split('/')[0] as string) : (FILE_ROOMS[file] ?? 'module');
const isLocal = ({ to }: Import) => files.includes(to);
const shown = ({ from, to, typeOnly }: Import) => `${from} -> ${to}${typeOnly ? ' (types)' : ''}`;

/** Rooms from the lowest to the highest, and the lower rooms that each one may import, types included. */
const MAY_USE: Record<string, readonly string[]> = {
  clock: [],
  errors: [],
  retry: ['clock', 'errors'],
  secret: ['errors'],
  events: ['errors'],
  schema: ['errors', 'secret'],
  client: ['clock', 'errors', 'secret', 'events'],
  environment: ['clock', 'client'],
  lifetime: ['clock', 'errors', 'retry', 'client'],
  auth: ['clock', 'errors', 'secret', 'events', 'client'],
  engines: ['clock', 'errors', 'secret', 'events', 'client', 'lifetime'],
  config: ['errors', 'secret', 'client', 'auth', 'engines'],
  session: ['clock', 'errors', 'retry', 'secret', 'events', 'client', 'lifetime', 'auth', 'config'],
  leases: [
    'clock',
    'errors',
    'retry',
    'secret',
    'events',
    'client',
    'lifetime',
    'engines',
    'config',
    'session',
  ],
  connection: [
    'clock',
    'errors',
    'retry',
    'secret',
    'events',
    'schema',
    'client',
    'config',
    'session',
    'leases',
    'engines',
  ],
  services: ['errors', 'events', 'config', 'session', 'leases', 'engines', 'connection'],
  dashboard: ['clock', 'errors', 'events', 'services'],
  core: [
    'errors',
    'secret',
    'events',
    'client',
    'auth',
    'config',
    'session',
    'leases',
    'engines',
    'services',
  ],
  tokens: ['errors', 'schema', 'client', 'config', 'engines'],
  discovery: ['clock', 'errors', 'secret', 'events', 'config', 'leases', 'connection', 'tokens'],
  configuration: [
    'clock',
    'errors',
    'secret',
    'events',
    'client',
    'schema',
    'environment',
    'config',
    'engines',
    'connection',
    'tokens',
    'discovery',
  ],
  decorators: ['errors', 'tokens'],
  module: [
    'errors',
    'secret',
    'events',
    'schema',
    'client',
    'environment',
    'auth',
    'config',
    'session',
    'leases',
    'engines',
    'connection',
    'services',
    'tokens',
    'discovery',
    'configuration',
    'decorators',
  ],
  health: ['client', 'errors', 'events', 'connection', 'configuration'],
  integrations: ['clock', 'errors', 'secret', 'events', 'leases'],
  telemetry: ['events', 'client'],
  testing: ['clock', 'errors', 'secret', 'client', 'environment', 'leases'],
  cli: [
    'clock',
    'errors',
    'secret',
    'events',
    'client',
    'auth',
    'engines',
    'config',
    'session',
    'connection',
    'services',
    'testing',
  ],
};
const ROOMS = Object.keys(MAY_USE);
/** Rooms that know Nest. All others run without it. */
const NEST = ['module', 'decorators', 'discovery', 'configuration', 'health'];

it('finds the files and their imports', () => {
  expect(files.length).toBeGreaterThan(40);
  expect(imports.filter(isLocal).length).toBeGreaterThan(100);
  const unresolved = imports.filter(({ to }) => isSource(to) && !files.includes(to));
  expect(unresolved.map(shown)).toEqual([]);
});

it('every room has a rule, and every rule names lower rooms only', () => {
  expect([...new Set(files.map(roomOf))].sort()).toEqual([...ROOMS].sort());
  const uphill = ROOMS.flatMap((room, index) =>
    (MAY_USE[room] as string[])
      .filter((used) => !ROOMS.slice(0, index).includes(used))
      .map((used) => `${room} -> ${used}`),
  );
  expect(uphill).toEqual([]);
});

it.each(Object.entries(MAY_USE))('%s uses only the rooms below it', (room, allowed) => {
  const own = imports.filter((one) => roomOf(one.from) === room && isLocal(one));
  const wrong = own.filter(({ to }) => roomOf(to) !== room && !allowed.includes(roomOf(to)));
  expect(wrong.map(shown)).toEqual([]);
  // A rule that allows more than is used would let the next import pass unseen.
  const used = new Set(own.map(({ to }) => roomOf(to)));
  expect(allowed.filter((lower) => !used.has(lower))).toEqual([]);
});

/** Rooms of the simulated server, type imports included; `testing` stands for the files directly in it. */
const MAY_USE_TESTING: Record<string, readonly string[]> = {
  'testing/clock': ['clock'],
  'testing/server': ['testing/clock', 'clock'],
  'testing/backends': ['testing/server'],
  'testing/http': ['testing/server', 'testing/backends', 'client', 'clock'],
  testing: [
    'testing/http',
    'testing/backends',
    'testing/server',
    'testing/clock',
    'client',
    'clock',
    'errors',
    'secret',
    'environment',
    'leases',
  ],
};
const testingRoomOf = (file: string) =>
  file.startsWith('testing/') ? file.split('/').slice(0, -1).join('/') : roomOf(file);

it.each(Object.entries(MAY_USE_TESTING))('%s uses only the rooms below it', (room, allowed) => {
  const own = imports.filter((one) => testingRoomOf(one.from) === room && isLocal(one));
  const wrong = own.filter(({ to }) => testingRoomOf(to) !== room && !allowed.includes(testingRoomOf(to)));
  expect(own.length).toBeGreaterThan(0);
  expect(wrong.map(shown)).toEqual([]);
});

it('every file of testing is in one of these rooms', () => {
  const own = files.filter((file) => file.startsWith('testing/'));
  expect(own.filter((file) => !(testingRoomOf(file) in MAY_USE_TESTING))).toEqual([]);
});

it('only the rooms that meet Nest import it', () => {
  const using = imports.filter(({ to }) => to.startsWith('@nestjs/')).map(({ from }) => from);
  expect([...new Set(using)].filter((file) => !NEST.includes(roomOf(file)))).toEqual([]);
  expect(using.length).toBeGreaterThan(5);
});

it('rooms without Nest do not reach it through another file either', () => {
  const reached = (file: string, seen = new Set<string>()): Set<string> => {
    for (const { to } of imports.filter((one) => one.from === file && !one.typeOnly)) {
      if (seen.has(to)) continue;
      seen.add(to);
      if (files.includes(to)) reached(to, seen);
    }
    return seen;
  };
  for (const file of files.filter((one) => !NEST.includes(roomOf(one)))) {
    expect([...reached(file)].filter((to) => to.startsWith('@nestjs/'))).toEqual([]);
  }
});

it('node-vault is known to one file, and so is undici', () => {
  const users = (name: string) => imports.filter(({ to }) => to === name).map(({ from }) => from);
  expect(users('node-vault')).toEqual(['client/request-layer.ts']);
  const ofUndici = imports.filter(({ to }) => /^undici($|\/)/.test(to));
  const running = ofUndici.filter(({ from, typeOnly }) => !typeOnly && !from.endsWith('.d.ts'));
  expect([...new Set(running.map(({ from }) => from))]).toEqual(['client/undici.ts']);
  // Its index replaces the dispatcher of the application's own fetch.
  expect(running.filter(({ to }) => to === 'undici')).toEqual([]);
  const mentions = files.filter((file) => /['"]node-vault['"]/.test(readFileSync(join(root, file), 'utf8')));
  expect(mentions).toEqual(['client/request-layer.ts']);
});

it('only the bin loads commander', () => {
  const users = imports.filter(({ to }) => to === 'commander').map(({ from }) => roomOf(from));
  expect([...new Set(users)]).toEqual(['cli']);
  expect(imports.filter(({ from, to }) => to.startsWith('cli/') && roomOf(from) !== 'cli')).toEqual([]);
});

it('imports declared packages only', () => {
  const { dependencies, peerDependencies } = JSON.parse(
    readFileSync(join(root, '../package.json'), 'utf8'),
  ) as Record<'dependencies' | 'peerDependencies', Record<string, string>>;
  const declared = Object.keys({ ...dependencies, ...peerDependencies });
  const used = imports
    .map(({ to }) => to)
    .filter((to) => !isSource(to) && !to.startsWith('node:'))
    .map((to) =>
      to
        .split('/')
        .slice(0, to.startsWith('@') ? 2 : 1)
        .join('/'),
    );
  expect([...new Set(used)].filter((name) => !declared.includes(name))).toEqual([]);
});

it('no file imports itself through others, types included', () => {
  const done = new Set<string>();
  const circles: string[] = [];
  const visit = (file: string, trail: string[]): void => {
    if (trail.includes(file)) circles.push([...trail.slice(trail.indexOf(file)), file].join(' -> '));
    if (done.has(file) || trail.includes(file)) return;
    for (const one of imports.filter(({ from }) => from === file)) {
      if (isLocal(one)) visit(one.to, [...trail, file]);
    }
    done.add(file);
  };
  for (const file of files) visit(file, []);
  expect(circles).toEqual([]);
});

it('an optional peer is used by the integration of its name alone', () => {
  const users = imports.filter(({ to, typeOnly }) => to === 'pg' && !typeOnly).map(({ from }) => from);
  expect(users.filter((file) => !file.startsWith('integrations/pg/'))).toEqual([]);
  const upwards = imports.filter(
    ({ from, to }) => !from.startsWith('integrations/') && to.startsWith('integrations/'),
  );
  expect(upwards.map(shown)).toEqual([]);
});

it('the environment is read by secret sources, `vaultOptionsFromEnv` and the bin only, and for messages in production or under a test runner', () => {
  const reading = files.filter((file) => /process\.env/.test(readFileSync(join(root, file), 'utf8')));
  expect(reading.sort()).toEqual([
    // A secret source: a job's ID token is asked for at the address in its environment.
    'auth/github-actions.ts',
    // The bin, whose commands take their connection from it.
    'cli/main.ts',
    'config/options-from-env.ts',
    'config/proxy.ts',
    'connection/slow-start.ts',
    'secret/secret-source.ts',
    'testing/production.ts',
  ]);
});

it('only config/ names variables of the Go clients', () => {
  const naming = files.filter((file) =>
    /config\/environment\.js|['"`]BAO_/.test(readFileSync(join(root, file), 'utf8')),
  );
  expect(naming.filter((file) => roomOf(file) !== 'config')).toEqual([]);
});

// .oxlintrc.json forbids the other ways to read the time, and timers.
it('no file outside of a clock reads the time by new Date()', () => {
  const reading = files.filter((file) => /\bnew Date(?!\([^)])/.test(readFileSync(join(root, file), 'utf8')));
  expect(reading.filter((file) => !file.startsWith('clock/') && !file.startsWith('testing/clock/'))).toEqual(
    [],
  );
});

it('nothing is exported as a default, and index.ts names what it exports', () => {
  for (const file of files) {
    const text = readFileSync(join(root, file), 'utf8');
    expect(/^export default/m.test(text), file).toBe(false);
    expect(/^export \* from/m.test(text), file).toBe(false);
  }
});

// Integrations: rotation/ knows no driver, and a driver's folder knows no other one unless its library works on that
// driver.
const BELOW_INTEGRATIONS = ['clock', 'errors', 'secret', 'type:leases'];
const INTEGRATION_MAY_USE: Record<string, readonly string[]> = {
  driver: ['errors'],
  rotation: ['driver', 'clock', 'errors', 'events', 'leases'],
  aws: ['rotation', ...BELOW_INTEGRATIONS],
  ioredis: ['rotation', 'driver', 'redis', ...BELOW_INTEGRATIONS],
  knex: ['rotation', 'driver', 'pg', ...BELOW_INTEGRATIONS],
  'mikro-orm': ['rotation', 'driver', 'pg', ...BELOW_INTEGRATIONS],
  mongodb: ['rotation', 'driver', ...BELOW_INTEGRATIONS],
  mysql2: ['rotation', 'driver', ...BELOW_INTEGRATIONS],
  pg: ['rotation', 'driver', ...BELOW_INTEGRATIONS],
  rabbitmq: ['rotation', 'driver', ...BELOW_INTEGRATIONS],
  redis: ['rotation', 'driver', ...BELOW_INTEGRATIONS],
  sequelize: ['rotation', 'driver', 'pg', ...BELOW_INTEGRATIONS],
  typeorm: ['rotation', 'driver', 'pg', ...BELOW_INTEGRATIONS],
};
/** The folder below integrations, or the room. */
const integrationOf = (file: string) =>
  file.startsWith('integrations/') ? (file.split('/')[1] as string) : roomOf(file);

it('every folder of integrations has a rule', () => {
  const folders = files.filter((file) => file.startsWith('integrations/')).map(integrationOf);
  expect([...new Set(folders)].sort()).toEqual(Object.keys(INTEGRATION_MAY_USE).sort());
});

it.each(Object.entries(INTEGRATION_MAY_USE))('integrations/%s uses only what it may', (folder, allowed) => {
  const own = imports.filter((one) => one.from.startsWith(`integrations/${folder}/`) && isLocal(one));
  const wrong = own.filter((one) => {
    const target = integrationOf(one.to);
    const asType = one.typeOnly && allowed.includes(`type:${target}`);
    return target !== folder && !allowed.includes(target) && !asType;
  });
  expect(own.length).toBeGreaterThan(0);
  expect(wrong.map(shown)).toEqual([]);
});

it('rotation and driver import no driver', () => {
  const shared = imports.filter(({ from }) => /^integrations\/(rotation|driver)\//.test(from));
  const packages = shared.map(({ to }) => to).filter((to) => !isSource(to) && !to.startsWith('node:'));
  expect([...new Set(packages)].sort()).toEqual(['rxjs']);
});

// Grants are immutable values, and only the machine assigns.
const OWNED = files.filter((file) => /^(lifetime|session|leases)\//.test(file));
const parsed = (file: string) =>
  ts.createSourceFile(file, readFileSync(join(root, file), 'utf8'), ts.ScriptTarget.ES2022, true);
const isReadonly = (member: ts.PropertyDeclaration | ts.PropertySignature) =>
  member.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.ReadonlyKeyword) === true;

function nodesOf<N extends ts.Node>(source: ts.Node, is: (node: ts.Node) => node is N): N[] {
  const found: N[] = [];
  const visit = (node: ts.Node): void => {
    if (is(node)) found.push(node);
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

it('every member of a grant is readonly', () => {
  const grant = nodesOf(parsed('lifetime/grant.ts'), ts.isInterfaceDeclaration).find(
    ({ name }) => name.text === 'Grant',
  );
  const members = [...(grant?.members ?? [])].filter((member) => ts.isPropertySignature(member));
  expect(members.length).toBeGreaterThan(5);
  expect(members.filter((member) => !isReadonly(member)).map((member) => member.getText())).toEqual([]);
});

it('no other file can assign a member of a class of lifetime, session or leases', () => {
  const classes = OWNED.flatMap((file) =>
    nodesOf(parsed(file), ts.isClassDeclaration).map((node) => ({ file, node })),
  );
  expect(classes.length).toBeGreaterThan(15);
  const open = classes.flatMap(({ file, node }) =>
    node.members
      .filter(
        (member) => ts.isSetAccessor(member) || (ts.isPropertyDeclaration(member) && !isReadonly(member)),
      )
      .filter(({ name }) => name && !ts.isPrivateIdentifier(name))
      .map(({ name }) => `${file}: ${name?.getText()}`),
  );
  expect(open).toEqual([]);
});

it('only the machine computes the next grant, and only it changes a phase', () => {
  const naming = (name: string) =>
    files
      .filter((file) => readFileSync(join(root, file), 'utf8').includes(`${name}(`))
      .filter((file) =>
        nodesOf(parsed(file), ts.isCallExpression).some(({ expression }) => expression.getText() === name),
      );
  expect(naming('nextGrant')).toEqual(['lifetime/lifecycle.ts']);
  expect(naming('transition')).toEqual(['lifetime/lifecycle.ts']);
});

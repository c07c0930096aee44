// npm run api:check, npm run api:update: the public types of every entry point, as one text (api/nestjs-vault.api.md). A
// change of them is a change of that file, which a reviewer sees. api:check fails if the build and the file differ.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureBuilt, ensureInstalled } from './ensure-installed.mjs';

await ensureInstalled();
await ensureBuilt();
const { Extractor, ExtractorConfig } = await import('@microsoft/api-extractor');

const root = fileURLToPath(new URL('..', import.meta.url));
const update = process.argv.includes('--update');
const work = join(root, '.cache', 'api');
const packageJsonFullPath = join(root, 'package.json');
const { compilerOptions } = JSON.parse(readFileSync(join(root, 'tsconfig.json'), 'utf8'));
const { exports } = JSON.parse(readFileSync(packageJsonFullPath, 'utf8'));

/** One entry point with all others as namespaces, so that a type that several of them share is listed once. */
const entry = join(work, 'index.d.ts');
mkdirSync(work, { recursive: true });
mkdirSync(join(root, 'api'), { recursive: true });
const lines = Object.entries(exports)
  .filter(([, target]) => target.import)
  .map(([subpath, target]) => {
    const from = relative(dirname(entry), join(root, target.import.default)).replaceAll('\\', '/');
    const name = subpath === '.' ? '' : ` as ${subpath.slice(2).replaceAll('-', '_')}`;
    return `export *${name} from '${from}';\n`;
  });
writeFileSync(entry, lines.join(''));

const none = { default: { logLevel: 'none' } };
const config = ExtractorConfig.prepare({
  configObjectFullPath: undefined,
  packageJsonFullPath,
  configObject: {
    projectFolder: root,
    mainEntryPointFilePath: entry,
    newlineKind: 'lf',
    compiler: { overrideTsconfig: { compilerOptions: { ...compilerOptions, paths: {} }, files: [entry] } },
    apiReport: {
      enabled: true,
      reportFolder: join(root, 'api'),
      reportTempFolder: work,
      reportFileName: 'nestjs-vault',
      includeForgottenExports: true,
    },
    docModel: { enabled: false },
    dtsRollup: { enabled: false },
    tsdocMetadata: { enabled: false },
    // TypeDoc checks the comments (npm run docs:api).
    messages: { extractorMessageReporting: none, tsdocMessageReporting: none },
  },
});
const { apiReportChanged } = Extractor.invoke(config, {
  localBuild: update,
  messageCallback: (message) => {
    message.handled = message.logLevel !== 'error';
  },
});
if (apiReportChanged && !update) {
  console.error('The public types differ from api/nestjs-vault.api.md. If that is meant: npm run api:update');
  process.exitCode = 1;
}
